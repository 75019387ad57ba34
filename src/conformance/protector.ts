import assert from 'node:assert/strict'
import { generateKey } from '../ring/generate.ts'
import { createMemoryKeyStore } from '../ring/memory-key-store.ts'
import { openSealer, type Protector } from '../ring/protector.ts'
import { type TestRunner, testsWith } from './runner.ts'

/** A protector for one test, opened twice as two nodes would. */
export interface ProtectorUnderTest {
  readonly protector: Protector
  /**
   * A second handle on the same key-encryption keys; the same object if only one process can use
   * them.
   */
  readonly other: Protector
  readonly close: () => Promise<void>
}

const CLOCK = { now: () => 1_700_000_000 }

/**
 * Tests the contract of `Protector`, for every implementation. A protector that makes its first
 * key-encryption key (`create`) must have none at first; any other must have at least one.
 * @param runner functions of the test runner
 * @param name of the implementation, for the report
 * @param open makes a protector for each test
 */
export function testProtector(
  runner: TestRunner,
  name: string,
  open: () => Promise<ProtectorUnderTest>,
): void {
  const test = testsWith(runner, open)
  const made = async ({ protector }: ProtectorUnderTest) => {
    await protector.create?.()
    return protector.load()
  }

  runner.describe(`the ${name} protector`, () => {
    test('refuses to load without a key-encryption key if it can make one', async ({
      protector,
    }) => {
      if (protector.create) await assert.rejects(protector.load(), { code: 'kek_missing' })
      else assert.ok((await protector.load()).length > 0)
    })

    test('has keys of 256 bits, each under a kid of its own', async (opened) => {
      const keks = await made(opened)
      assert.ok(keks.length > 0)
      for (const { kid, secret } of keks) {
        assert.notEqual(kid, '')
        assert.equal(secret.length, 32)
      }
      assert.equal(new Set(keks.map(({ kid }) => kid)).size, keks.length)
    })

    test('has the same keys in the same order each time, for every node', async (opened) => {
      const keks = await made(opened)
      assert.deepEqual(await opened.protector.load(), keks)
      assert.deepEqual(await opened.other.load(), keks)
    })

    test('makes no second key if there is one', async (opened) => {
      const keks = await made(opened)
      await opened.other.create?.()
      assert.deepEqual(await opened.protector.load(), keks)
    })

    test('opens a key on one node that another node has sealed', async ({ protector, other }) => {
      const store = createMemoryKeyStore()
      const sealer = await openSealer(protector, store, CLOCK)
      const { kid, jwk } = await generateKey('ES256')
      const place = { ring: 'sig/ES256', generation: 1, algorithm: 'ES256' }
      const life = { createdAt: 1, activatesAt: 1, retention: 1 }
      const record = await sealer.seal({ kid, ...place, ...life }, jwk, [])
      const key = await (await openSealer(other, store, CLOCK)).open(record)
      assert.equal(key.kid, kid)
      assert.ok(key.signer)
    })
  })
}
