/**
 * What a suite needs of a test runner. The functions of `node:test`, Vitest, Jest and Mocha fit as they
 * are.
 */
export interface TestRunner {
  /** Groups tests. The body registers them and is done when it returns. */
  describe(name: string, body: () => void): unknown
  /** Registers a test, which fails where the body rejects. */
  it(name: string, body: () => Promise<void>): unknown
}

/** Makes tests that each get something opened for them alone, and closed afterwards. */
export function testsWith<T extends { readonly close: () => Promise<void> }>(
  { it }: Pick<TestRunner, 'it'>,
  open: () => Promise<T>,
) {
  return (sentence: string, body: (opened: T) => Promise<void>): unknown =>
    it(sentence, async () => {
      const opened = await open()
      try {
        await body(opened)
      } finally {
        await opened.close()
      }
    })
}
