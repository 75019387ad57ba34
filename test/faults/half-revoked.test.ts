import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { API, SECRET, startTestServer } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { systemClock } from '../../src/clock.ts'
import type { KeyStore } from '../../src/ring/key-store.ts'
import { fileProtector } from '../../src/seal/protector.ts'
import { openSealerOf, record } from '../support/sealer.ts'

/** The store module of the test: takes nothing while it is told so. */
const STORE_MODULE = `
import { createMemoryKeyStore } from ${JSON.stringify(new URL('../../src/ring/memory-key-store.ts', import.meta.url).href)}
import { StoreUnavailable } from ${JSON.stringify(new URL('../../src/errors.ts', import.meta.url).href)}
export function createKeyStore() {
  globalThis.keyturnHalfTest ??= { store: createMemoryKeyStore(), isReadOnly: false }
  const half = globalThis.keyturnHalfTest
  const guarded = (name) => async (...args) => {
    if (half.isReadOnly) throw new StoreUnavailable('the test made the store read-only')
    return half.store[name](...args)
  }
  return {
    ...half.store,
    ...Object.fromEntries(['addKey', 'eraseKey', 'removeKey', 'addEvents'].map((name) => [name, guarded(name)])),
  }
}
`

it('a ring whose key is revoked and whose next key cannot be promoted yet is answered 503, and no other', async () => {
  await using folder = await temporaryFolder()
  const module = join(folder.path, 'store.mjs')
  await writeFile(module, STORE_MODULE)
  await using keyturn = await startTestServer({
    settings: { keyStore: { type: 'module', module }, rotation: { refreshInterval: '30m' } },
  })
  const { issuer, server, config } = keyturn
  const half = (
    globalThis as unknown as { keyturnHalfTest: { store: KeyStore; isReadOnly: boolean } }
  ).keyturnHalfTest
  const active = server.issuers[0].scheduler.status.view?.states.find(
    ({ key, phase }) => key.ring === 'sig/RS256' && phase === 'active',
  )
  assert.ok(active)
  const sealer = await openSealerOf(issuer, fileProtector(config.seal.file), half.store)
  const { ring, kid } = active.key
  const order = { at: systemClock.now(), reason: 'test', actor: 'test' }
  await record(half.store, sealer, { ...order, type: 'revoke', ring, kid })
  half.isReadOnly = true
  await assert.rejects(server.issuers[0].scheduler.runOnce(), { code: 'store_unavailable' })

  const ask = (resource: string) =>
    fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`machine:${SECRET}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope: 'read' }),
    })
  const refused = await ask(API)
  assert.equal(refused.status, 503)
  assert.match(await refused.text(), /"error":"temporarily_unavailable"/)
  assert.equal((await ask(`${API}/es256`)).status, 200)
  // A client whose ID tokens are signed by this ring is not told that its metadata is wrong.
  const query =
    'client_id=web&response_type=code&scope=openid&redirect_uri=http://localhost:9999/callback'
  const challenge = `code_challenge=${'a'.repeat(43)}&code_challenge_method=S256`
  const page = await fetch(`${issuer}/auth?${query}&${challenge}`, { redirect: 'manual' })
  assert.match(page.headers.get('location') ?? String(page.status), /\/interaction\//)
  const jwks = await (await fetch(`${issuer}/jwks`)).text()
  assert.ok(!jwks.includes(kid))

  half.isReadOnly = false
  await server.issuers[0].scheduler.runOnce()
  assert.equal((await ask(API)).status, 200)
})
