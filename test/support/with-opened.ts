import { it } from 'node:test'
import { testsWith as testsOf } from '../../src/conformance/runner.ts'

/** Makes tests of a suite that each get something opened for them alone, and closed afterwards. */
export function testsWith<T extends { readonly close: () => Promise<void> }>(
  open: () => Promise<T>,
) {
  return testsOf({ it }, open)
}
