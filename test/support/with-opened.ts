import { it } from 'node:test'

/** Makes tests of a suite that each get something opened for them alone, and closed afterwards. */
export function testsWith<T extends { readonly close: () => Promise<void> }>(
  open: () => Promise<T>,
) {
  return (sentence: string, body: (opened: T) => Promise<void>): Promise<void> =>
    it(sentence, async () => {
      const opened = await open()
      try {
        await body(opened)
      } finally {
        await opened.close()
      }
    })
}
