import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import {
  createMemoryKeyStore,
  environmentProtector,
  type KeyStore,
  openRing,
  type Ring,
} from '../../src/library/ring.ts'

const protector = environmentProtector(randomBytes(32).toString('base64url'))

async function privateJwk(kid: string, alg = 'ES256'): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg }
}

function openWith(store: KeyStore, ...keys: readonly JWK[]): Promise<Ring> {
  return openRing({ store, protector, policy: { algorithms: ['ES256'] }, firstKeys: { keys } })
}

function phases(ring: Ring): readonly string[] {
  return ring.keys().map(({ kid, phase }) => `${kid} ${phase}`)
}

describe('keys with which an application signed until now', () => {
  it('sign on or verify on under their kids, and have a successor', async () => {
    const ring = await openWith(
      createMemoryKeyStore(),
      await privateJwk('b'),
      await privateJwk('a'),
    )
    await ring.close()
    const [old, signer, successor, ...others] = phases(ring)
    assert.deepEqual([old, signer], ['a retired', 'b active'])
    assert.match(successor ?? '', / pre-active$/)
    assert.deepEqual(others, [])
  })

  it('are taken once, and a ring that has keys is left alone', async () => {
    const store = createMemoryKeyStore()
    const first = await openWith(store, await privateJwk('a'))
    await first.close()
    const again = await openWith(store, await privateJwk('other'))
    await again.close()
    assert.deepEqual(phases(again), phases(first))
  })

  it('are taken by one of two processes that start at once', async () => {
    const store = createMemoryKeyStore()
    const key = await privateJwk('a')
    const rings = await Promise.all([openWith(store, key), openWith(store, key)])
    for (const ring of rings) await ring.close()
    for (const ring of rings) assert.equal(phases(ring)[0], 'a active')
    const { keys } = await store.load()
    assert.equal(keys.filter(({ id }) => id === 'a').length, 1)
  })

  it('are refused where one has no private half', async () => {
    const { d, ...publicJwk } = await privateJwk('a')
    await assert.rejects(
      openWith(createMemoryKeyStore(), publicJwk),
      /TypeError: firstKeys: key a has no private half, so it cannot sign/,
    )
  })

  it('are refused where one encrypts, or has numbers that do not fit', async () => {
    const key = await privateJwk('a')
    const store = createMemoryKeyStore()
    await assert.rejects(
      openWith(store, { ...key, use: 'enc', alg: 'ECDH-ES' }),
      /no ring takes key a/,
    )
    const { d = '' } = await privateJwk('b')
    await assert.rejects(openWith(store, key, { ...key, kid: 'b', d }), /key b cannot be taken/)
    assert.deepEqual((await store.load()).events, [])
  })
})
