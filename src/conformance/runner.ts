/** Functions of a test runner. Those of `node:test`, Vitest, Jest and Mocha fit as they are. */
export interface TestRunner {
  /** Groups tests. The body registers them before it returns. */
  describe(name: string, body: () => void): unknown
  /** Registers a test, which fails if the body rejects. */
  it(name: string, body: () => Promise<void>): unknown
}

/** Makes tests that each open a value of their own and close it afterwards. */
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
