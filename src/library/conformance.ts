/**
 * `keyturn/conformance`: the contracts of key stores and protectors as suites of tests. Who writes one of
 * his own calls its suite with the functions of his test runner.
 *
 * @module keyturn/conformance
 */
export { type KeyStoreUnderTest, testKeyStore } from '../conformance/key-store.ts'
export { type ProtectorUnderTest, testProtector } from '../conformance/protector.ts'
export type { TestRunner } from '../conformance/runner.ts'
