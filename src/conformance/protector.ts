import assert from 'node:assert/strict'
import { generateKey } from '../ring/generate.ts'
import { createMemoryKeyStore } from '../ring/memory-key-store.ts'
import { openSealer, type Protector } from '../ring/protector.ts'
import { type TestRunner, testsWith } from './runner.ts'

/** What a test of a protector needs: a fresh one, opened twice as two nodes would. */
export interface ProtectorUnderTest {
  readonly protector: Protector
  /** A second handle on the same key-encryption keys; the same object where there is no outside. */
  readonly other: Protector
  readonly close: () => Promise<void>
}

const CLOCK = { now: () => 1_700_000_000 }

/**
 * The contract of `Protector` as tests, for every implementation. One that makes its first
 * key-encryption key (`create`) must have none at first; any other must have at least one.
 * @param runner that of the tests it is called from
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
    test('says that a key-encryption key is missing where it could make one', async ({
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

    test('makes no second key where there is one', async (opened) => {
      const keks = await made(opened)
      await opened.other.create?.()
      assert.deepEqual(await opened.protector.load(), keks)
    })

    test('opens on one node what another has sealed', async ({ protector, other }) => {
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
