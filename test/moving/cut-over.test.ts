import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it, mock } from 'node:test'
import { JwtVerifier } from 'aws-jwt-verify'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import {
  compactVerify,
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  importJWK,
  importSPKI,
  type JSONWebKeySet,
  type JWK,
  jwtVerify,
  SignJWT,
} from 'jose'
import jwksRsa from 'jwks-rsa'
import * as client from 'openid-client'
import { VECTORS, vector, vectorJson, withoutVectors } from '../../lab/vectors.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { readDuendeFiles } from '../../src/import/duende.ts'
import type { Imported } from '../../src/import/imported-key.ts'
import { adopt } from '../../src/moving/adopt.ts'
import { carryIn, presentOf } from '../../src/moving/operate.ts'
import { NO_RINGS } from '../../src/ring/loaded-rings.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import type { RotationPolicies } from '../../src/ring/policy.ts'
import { createRings, type Rings } from '../../src/ring/rings.ts'
import type { Signer } from '../../src/ring/signer.ts'
import { ringView, signerOf } from '../../src/ring/view.ts'
import { POLICY } from '../support/rings.ts'
import { testSealer } from '../support/sealer.ts'

/** Duende's three keys, one retired, one active and one announced, move in while real RPs hold its JWKS. */

const HOUR = 3600
const DAY = 24 * HOUR
const RING = 'sig/RS256'
const [ACTIVE, RETIRED, NEXT] = [
  '0FA95F20C21340A83C1A645F07CBDB5A',
  '5B3E39F8A7F61742AAD3B015526E7986',
  'DA1978808C20C355BD07BD297E41D715',
]
const secondsOf = (text: string) => Date.parse(text) / 1000
const NOW = secondsOf('2026-08-08T14:41:16Z')
/** Measured at IdentityServer, to the tick; rounded up to a second. */
const SWITCH = secondsOf('2026-08-19T16:41:18Z')
/** The retired key leaves the JWKS. */
const LEAVES = secondsOf('2026-08-13T10:41:36Z')

const policy = {
  ...{ ...POLICY, ring: RING, algorithm: 'RS256', cryptoperiod: 90 * DAY, propagation: 14 * DAY },
  ...{ retention: 14 * DAY, archive: 400 * DAY, maxRingAge: HOUR, clockSkew: 60 },
}
const policies: RotationPolicies = { rings: [policy], policyFor: () => policy }

async function readThreeKeys(): Promise<Imported> {
  const folder = join(VECTORS, 'duende/three-keys')
  const files = readdirSync(join(folder, 'keys')).map((name) => ({
    name,
    bytes: vector('duende/three-keys/keys', name),
  }))
  const ring = await openKeyRing({
    directory: join(folder, 'ring'),
    applicationName: 'harbour-login',
    now: () => new Date(NOW * 1000),
  })
  const protector = ring.createProtector('DataProtectionKeyProtector')
  const unprotect = (payload: Uint8Array) => protector.unprotect(payload)
  const times = { propagation: 14 * DAY, rotation: 90 * DAY, retention: 70 * DAY }
  return readDuendeFiles(files, { now: NOW, unprotect, ...times })
}

async function moveIn(imported: Imported): Promise<Rings> {
  const store = createMemoryKeyStore()
  const sealer = testSealer()
  const options = { now: NOW, policies, actor: 'test', reason: 'test' }
  const decided = adopt(imported, await presentOf(NO_RINGS), options)
  const work = { store, openSealer: async () => sealer, witness: undefined }
  await carryIn(decided, NO_RINGS, work)
  const rings = createRings({ store, sealer })
  rings.hold(await rings.load())
  return rings
}

const AUDIENCE = 'harbour-api'
const NONCE = 'a-nonce'

/** Throws where it refuses the token. */
type Verify = (token: string) => Promise<unknown>

/** Relying parties as their documentation sets them up. */
function relyingParties(issuer: string): Readonly<Record<string, Verify>> {
  const jwksUri = `${issuer}/jwks`
  const remote = createRemoteJWKSet(new URL(jwksUri))
  const configuration = new client.Configuration({ issuer, jwks_uri: jwksUri }, AUDIENCE, 'secret')
  client.allowInsecureRequests(configuration)
  client.useIdTokenResponseType(configuration)
  const perKid = jwksRsa({ jwksUri, cache: true })
  // Its own fetcher speaks https only.
  const fetcher = { fetch: async (uri: string) => (await fetch(uri)).arrayBuffer() }
  const jwksCache = new SimpleJwksCache({ fetcher })
  const aws = JwtVerifier.create({ issuer, audience: AUDIENCE, jwksUri }, { jwksCache })
  return {
    jose: (token) => jwtVerify(token, remote, { issuer, audience: AUDIENCE }),
    'openid-client': (token) => {
      const callback = new URL('http://localhost/callback')
      callback.hash = new URLSearchParams({ id_token: token }).toString()
      return client.implicitAuthentication(configuration, callback, NONCE)
    },
    'jwks-rsa': async (token) => {
      const { alg = '', kid } = decodeProtectedHeader(token)
      const key = await perKid.getSigningKey(kid)
      return jwtVerify(token, await importSPKI(key.getPublicKey(), alg))
    },
    'aws-jwt-verify': (token) => aws.verify(token),
  }
}

describe('three keys of IdentityServer move in', { skip: withoutVectors }, () => {
  let published: JSONWebKeySet
  const server = createServer((_request, response) => response.end(JSON.stringify(published)))
  let issuer = ''
  let imported: Imported
  let rings: Rings

  before(async () => {
    published = vectorJson<JSONWebKeySet>('duende', 'three-keys', 'jwks.json')
    server.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    imported = await readThreeKeys()
    rings = await moveIn(imported)
    mock.timers.enable({ apis: ['Date'], now: NOW * 1000 })
  })
  after(() => {
    mock.timers.reset()
    server.closeAllConnections()
    server.close()
  })

  const viewAt = (at: number) => ringView(rings.facts ?? NO_RINGS, policies, at)
  /** Clocks go to an instant, and the JWKS is what Keyturn shows then. */
  const goTo = (at: number) => {
    mock.timers.setTime(at * 1000)
    published = viewAt(at).jwks as JSONWebKeySet
  }
  const claims = (iat: number) => ({
    iss: issuer,
    aud: AUDIENCE,
    sub: 'ada',
    nonce: NONCE,
    iat,
    exp: iat + HOUR,
  })

  /** A token of the old system. */
  async function tokenOfOld(kid: string, iat: number): Promise<string> {
    const { jwk } = imported.keys.find((key) => key.kid === kid) ?? {}
    assert.ok(jwk)
    const header = { alg: 'RS256', kid }
    return new SignJWT(claims(iat)).setProtectedHeader(header).sign(await importJWK(jwk, 'RS256'))
  }

  /** A token that Keyturn signs at an instant. */
  async function tokenOfNew(at: number): Promise<{ readonly kid: string; readonly token: string }> {
    const signer: Signer | undefined = signerOf(viewAt(at), RING)?.key.signer
    const kid = signer?.publicJwk.kid ?? ''
    const input = [{ alg: 'RS256', kid }, claims(at)]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    const signature = await signer?.sign(Buffer.from(input))
    return { kid, token: `${input}.${Buffer.from(signature ?? []).toString('base64url')}` }
  }

  it('and are published as they were', () => {
    const old = vectorJson<{ keys: JWK[] }>('duende', 'three-keys', 'jwks.json').keys
    const now = viewAt(NOW).jwks.keys
    const sorted = (keys: readonly JWK[]) =>
      keys
        .map(({ kid, n, e, alg }) => ({ kid, n, e, alg }))
        .toSorted((a, b) => (`${a.kid}` < `${b.kid}` ? -1 : 1))
    assert.deepEqual(sorted(now), sorted(old))
    const kids = (at: number) => viewAt(at).jwks.keys.map(({ kid }) => kid)
    assert.deepEqual(kids(LEAVES - 1).toSorted(), [ACTIVE, RETIRED, NEXT].toSorted())
    assert.deepEqual(kids(LEAVES).toSorted(), [ACTIVE, NEXT].toSorted())
  })

  it('and what IdentityServer really signed with them verifies', async () => {
    const keys = createLocalJWKSet(viewAt(NOW).jwks as JSONWebKeySet)
    const tokens = vectorJson<{ kid: string; jws: string }[]>('duende', 'three-keys', 'tokens.json')
    assert.ok(tokens.length > 0)
    for (const { jws } of tokens) await compactVerify(jws, keys)
  })

  it('and no relying party notices the move, nor the switch when IdentityServer would have made it', async () => {
    const parties = Object.entries(relyingParties(issuer))
    const all = async (token: string, when: string) => {
      for (const [name, verify] of parties) {
        await assert.doesNotReject(verify(token), `${name} ${when}`)
      }
    }
    const last = await tokenOfOld(ACTIVE, NOW)
    await all(last, 'warms its cache from the JWKS of IdentityServer')

    goTo(NOW)
    await all(last, 'at the cut-over')
    const first = await tokenOfNew(NOW)
    assert.equal(first.kid, ACTIVE, 'the old signer signs on')
    await all(first.token, 'meets the first token of Keyturn')
    goTo(NOW + HOUR - 1)
    await all(last, 'before the last token of IdentityServer expires')

    const late = await tokenOfNew(SWITCH - 1)
    assert.equal(late.kid, ACTIVE)
    goTo(SWITCH)
    const fresh = await tokenOfNew(SWITCH)
    assert.equal(fresh.kid, NEXT, 'the switch that IdentityServer had planned')
    await all(fresh.token, 'meets the announced key')
    goTo(SWITCH + HOUR - 2)
    await all(late.token, 'before the last token of the old signer expires')
  })
})
