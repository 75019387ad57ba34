import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, PERSON, startTestServer } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { systemClock } from '../../src/clock.ts'
import type { KeyStore } from '../../src/ring/key-store.ts'
import { fileProtector } from '../../src/seal/protector.ts'
import { openSealerOf, record } from '../support/sealer.ts'

const SWAPS = 200

/**
 * The store module of the test: shows its promotions and what came of them or hides both, so that the
 * view flips.
 */
const STORE_MODULE = `
import { createMemoryKeyStore } from ${JSON.stringify(new URL('../../src/ring/memory-key-store.ts', import.meta.url).href)}
export function createKeyStore() {
  // One for all who open it, as what the database holds is authenticated under its secret.
  globalThis.keyturnSwapTest ??= { store: createMemoryKeyStore(), promoted: true, first: [] }
  const flip = globalThis.keyturnSwapTest
  const { store } = flip
  const load = async () => {
    const { keys, events } = await store.load()
    if (flip.promoted) return { keys, events }
    return { keys: keys.filter(({ id }) => flip.first.includes(id)), events: [] }
  }
  return { ...store, load }
}
`

describe('swapping the provider', () => {
  it(`${SWAPS} times under load loses no request, and no sign-in that is under way`, async (t) => {
    await using folder = await temporaryFolder()
    const module = join(folder.path, 'store.mjs')
    await writeFile(module, STORE_MODULE)
    await using keyturn = await startTestServer({
      settings: { keyStore: { type: 'module', module }, rotation: { refreshInterval: '30m' } },
    })
    const { scheduler } = keyturn.server.issuers[0]
    const { issuer } = keyturn
    const flip = (
      globalThis as unknown as {
        keyturnSwapTest: { store: KeyStore; promoted: boolean; first: readonly string[] }
      }
    ).keyturnSwapTest
    const standbys = scheduler.status.view?.states.filter((s) => s.phase === 'pre-active') ?? []
    const at = systemClock.now()
    const protector = fileProtector(keyturn.config.seal.file)
    const sealer = await openSealerOf(issuer, protector, flip.store)
    flip.first = (await flip.store.load()).keys.map(({ id }) => id)
    const order = { type: 'promote', activatesAt: at, at, reason: 'test', actor: 'test' } as const
    const promotions = standbys.map(({ key: { kid, ring } }) => ({ ...order, kid, ring }))
    await record(flip.store, sealer, ...promotions)
    flip.promoted = false

    const machine = await discoverAs(issuer, 'machine')
    const web = await discoverAs(issuer, 'web')
    const jwks = createRemoteJWKSet(new URL(`${issuer}/jwks`))
    const kids = new Set<string | undefined>()
    const counts = { tokens: 0, introspections: 0, documents: 0, signIns: 0 }
    let isDone = false

    const repeat = async (work: () => Promise<void>) => {
      while (!isDone) await work()
    }
    const load = [
      repeat(async () => {
        const parameters = { resource: API, scope: 'read' }
        const { access_token } = await client.clientCredentialsGrant(machine, parameters)
        kids.add((await jwtVerify(access_token, jwks)).protectedHeader.kid)
        counts.tokens += 1
      }),
      repeat(async () => {
        const parameters = { resource: `${API}/opaque`, scope: 'read' }
        const { access_token } = await client.clientCredentialsGrant(machine, parameters)
        assert.equal((await client.tokenIntrospection(machine, access_token)).active, true)
        counts.introspections += 1
      }),
      repeat(async () => {
        for (const path of ['/jwks', '/.well-known/openid-configuration']) {
          assert.equal((await fetch(`${issuer}${path}`)).status, 200)
          counts.documents += 1
        }
      }),
      repeat(async () => {
        const { url, redeem } = await authorizationRequest(web)
        const { callback } = await signIn(createUserAgent(), url, PERSON)
        const tokens = await redeem(callback)
        kids.add((await jwtVerify(tokens.id_token ?? '', jwks)).protectedHeader.kid)
        counts.signIns += 1
      }),
    ]
    const swapping = (async () => {
      for (let swap = 1; swap <= SWAPS; swap++) {
        flip.promoted = !flip.promoted
        const before = counts.tokens
        await scheduler.runOnce()
        // The next swap comes when requests have been answered since this one.
        while (counts.tokens < before + 2) await new Promise((resolve) => setImmediate(resolve))
      }
    })().finally(() => {
      isDone = true
    })
    await Promise.all([swapping, ...load])

    const metrics = await (await fetch(`${keyturn.server.managementUrl}/metrics`)).text()
    const swaps = Number(/^keyturn_provider_swaps_total (\d+)$/m.exec(metrics)?.[1])
    t.diagnostic(`${swaps} swaps; ${JSON.stringify(counts)}; signed by ${kids.size} keys`)
    assert.ok(swaps > SWAPS, `only ${swaps} swaps`)
    assert.match(metrics, /^keyturn_server_errors_total 0$/m)
    assert.ok(kids.size >= 2, 'the key that signs never changed')
    assert.ok(counts.signIns >= 10)
  })
})
