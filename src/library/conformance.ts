/**
 * `keyturn/conformance`: the contracts of key stores and protectors as suites of tests. To check an
 * implementation, call its suite with the functions of your test runner.
 *
 * @module keyturn/conformance
 */
export { type KeyStoreUnderTest, testKeyStore } from '../conformance/key-store.ts'
export { type ProtectorUnderTest, testProtector } from '../conformance/protector.ts'
export type { TestRunner } from '../conformance/runner.ts'
