import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { temporaryFolder } from '../../lab/temporary.ts'
import {
  createFileKeyStore,
  createMemoryKeyStore,
  environmentProtector,
  fileProtector,
  openRing,
  type RingOptions,
} from '../../src/library/ring.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const HOUR = 3600
/** Rings that turn within hours, so that a test sees them turn. */
const HOURS = {
  ...{ cryptoperiod: 6 * HOUR, propagation: 2 * HOUR, retention: 2 * HOUR },
  refreshInterval: HOUR / 2,
}
const ORDER = { actor: 'test', reason: 'to see what happens' }

/** A ring on a clock that stands still. jose reads the time of a verification from it too. */
async function setUp(options: Partial<RingOptions> = {}) {
  const clock = createFakeClock()
  const store = options.store ?? createMemoryKeyStore()
  const protector = environmentProtector(randomBytes(32).toString('base64url'))
  const shared = { store, protector, clock, policy: HOURS, ...options }
  const ring = await openRing(shared)
  /** As an RP does: by the JWKS, and by nothing else. */
  const verify = async (token: string, body = ring.jwks().body) => {
    const currentDate = new Date(clock.now() * 1000)
    return (await jwtVerify(token, createLocalJWKSet(JSON.parse(body)), { currentDate })).payload
  }
  const active = () => ring.keys().find(({ phase }) => phase === 'active')?.kid
  return { ring, clock, verify, active, shared, [Symbol.asyncDispose]: () => ring.close() }
}

describe('a ring as a library', () => {
  it('signs tokens with iat and exp that its JWKS verifies', async () => {
    await using opened = await setUp()
    const { ring, clock, verify } = opened
    const token = await ring.sign({ sub: 'somebody', aud: 'api' }, { type: 'at+jwt' })
    const { kid, typ, alg } = decodeProtectedHeader(token)
    assert.deepEqual([kid, typ, alg], [opened.active(), 'at+jwt', 'RS256'])
    const now = clock.now()
    const dates = { iat: now, exp: now + 3600 }
    assert.deepEqual(await verify(token), { sub: 'somebody', aud: 'api', ...dates })
    const short = await ring.sign({}, { lifetime: 60 })
    assert.equal(decodeJwt(short).exp, now + 60)
    assert.equal(decodeJwt(await ring.sign({ exp: now + 5 })).exp, now + 5)
  })

  it('signs with each algorithm of its policy and with no other', async () => {
    await using opened = await setUp({ policy: { algorithms: ['ES256', 'Ed25519'] } })
    const { ring, verify } = opened
    assert.equal(decodeProtectedHeader(await ring.sign({})).alg, 'ES256')
    const token = await ring.sign({}, { algorithm: 'Ed25519' })
    assert.equal(decodeProtectedHeader(token).alg, 'Ed25519')
    await verify(token)
    await assert.rejects(ring.sign({}, { algorithm: 'PS256' }), { code: 'ring_not_found' })
  })

  it('serves a JWKS that no cache keeps beyond the next change', async () => {
    await using opened = await setUp()
    const { ring, clock } = opened
    const first = ring.jwks()
    assert.equal(first.headers.etag, first.etag)
    assert.equal(first.headers['cache-control'], 'public, max-age=900')
    assert.equal(ring.jwks().body, first.body)
    const [change] = ring.plan(clock.now() + 10 * HOUR).changes
    assert.ok(change)
    await clock.pass(change.at - clock.now() - 10)
    assert.equal(ring.jwks().headers['cache-control'], `public, max-age=${change.at - clock.now()}`)
    await clock.pass(20)
    assert.notEqual(ring.jwks().etag, first.etag)
  })

  it('turns by itself, and a token that was signed before verifies until it expires', async () => {
    await using opened = await setUp()
    const { ring, clock, verify, active } = opened
    const before = active()
    const standby = ring.keys().find(({ phase }) => phase === 'pre-active')
    await clock.pass((standby?.activatesAt ?? 0) - clock.now() - 1)
    const token = await ring.sign({})
    await clock.pass(2)
    assert.equal(active(), standby?.kid)
    assert.notEqual(active(), before)
    await clock.pass(3590)
    await verify(token)
  })

  it('rotates once RPs can know the next key, and sooner only by force', async () => {
    await using opened = await setUp()
    const { ring, clock, active } = opened
    const next = ring.keys().find(({ phase }) => phase === 'pre-active')?.kid ?? ''
    await assert.rejects(ring.promote(next, ORDER), { code: 'key_too_new' })
    await ring.rotate(ORDER)
    const planned = ring.keys().find(({ kid }) => kid === next)?.activatesAt
    assert.equal(planned, clock.now() + 2 * HOUR)
    await ring.promote(next, { ...ORDER, force: true })
    assert.equal(active(), next)
  })

  it('removes a revoked key from the JWKS at once and signs with another', async () => {
    await using opened = await setUp()
    const { ring, verify, active } = opened
    const token = await ring.sign({})
    const leaked = active() ?? ''
    await ring.revoke(leaked, ORDER)
    assert.ok(!ring.jwks().body.includes(leaked))
    await assert.rejects(verify(token), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    await verify(await ring.sign({}))
    await assert.rejects(ring.revoke('unknown', ORDER), { code: 'key_not_found' })
  })

  it('has the same keys in each process that shares its store', async () => {
    await using first = await setUp()
    await using second = await setUp(first.shared)
    const token = await first.ring.sign({})
    await second.verify(token)
    await first.ring.revoke(first.active() ?? '', ORDER)
    await first.clock.pass(HOUR / 2)
    await assert.rejects(second.verify(token), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
  })

  it('keeps its keys in files over a restart', async () => {
    await using folder = await temporaryFolder()
    const protector = fileProtector(`${folder.path}/kek.json`)
    const store = createFileKeyStore(`${folder.path}/keys`)
    let token: string
    {
      await using first = await setUp({ store, protector })
      token = await first.ring.sign({})
    }
    await using again = await setUp({ store, protector })
    await again.verify(token)
  })

  it('refuses to open under a policy that is unsafe or malformed', async () => {
    const unsafe = setUp({ policy: { propagation: 60, retention: 60 } })
    await assert.rejects(unsafe, {
      code: 'policy_unsafe',
      message: /propagation: .*\n.*retention: /,
    })
    await assert.rejects(setUp({ policy: { cryptoperiod: -1 } }), TypeError)
    await assert.rejects(setUp({ policy: { refreshInterval: 3600 } }), TypeError)
  })

  it('neither signs nor serves the JWKS once its store was away for too long', async () => {
    const memory = createMemoryKeyStore()
    let isAway = false
    const load = () => (isAway ? Promise.reject(new Error('away')) : memory.load())
    await using opened = await setUp({ store: { ...memory, load } })
    const { ring, clock } = opened
    isAway = true
    await clock.pass(3500)
    await ring.sign({})
    await clock.pass(200)
    await assert.rejects(ring.sign({}), { code: 'ring_stale' })
    assert.throws(() => ring.jwks(), { code: 'ring_stale' })
  })
})

it('loads jose, zod and modules of Node, and no other package', async () => {
  const entry = new URL('../../src/library/ring.ts', import.meta.url).href
  const program = `
    import { registerHooks } from 'node:module'
    const packages = new Set()
    registerHooks({
      load(url, context, next) {
        const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)\\//.exec(url)?.[1]
        if (name) packages.add(name)
        return next(url, context)
      },
    })
    const { createMemoryKeyStore, environmentProtector, openRing } = await import('${entry}')
    const protector = environmentProtector('${randomBytes(32).toString('base64url')}')
    const ring = await openRing({ store: createMemoryKeyStore(), protector, policy: { algorithms: ['ES256'] } })
    const token = await ring.sign({ sub: 'a' })
    await ring.close()
    process.stdout.write(JSON.stringify({ packages: [...packages].sort(), token }))`
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
  const { packages, token } = JSON.parse(stdout)
  assert.equal(token.split('.').length, 3)
  assert.deepEqual(packages, ['jose', 'zod'])
})
