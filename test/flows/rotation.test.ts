import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, PERSON, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import type { KeyState } from '../../src/ring/lifecycle.ts'
import { orderRevocation, orderRotation } from '../../src/ring/orders.ts'
import type { RingKey } from '../../src/ring/ring-key.ts'
import { operate } from '../support/operator.ts'
import { repeats } from '../support/repeats.ts'

/**
 * The promise, with the default policy (90 days, 14 days, 14 days) and real relying parties, over
 * HTTP: twelve years pass in a minute, as only `Date` is mocked and everything else is real. Load
 * never stops; around every switch the clock stops at the instants where a cache could go wrong.
 */

const ROTATIONS = 50
const MANUAL_ROTATIONS = 3
const RELYING_PARTIES = 3
const TOKENS_PER_INSTANT = repeats(2, 6)
const HOUR = 3600
const DAY = 24 * HOUR
/** Seconds around an activation: jose refetches at 30 s (cool-down) and 600 s (its cache). */
const INSTANTS = [-1800, -601, -31, -1, 0, 1, 29, 31, 599, 601, 1800, 3599]

interface Issued {
  readonly token: string
  readonly kid: string
  readonly exp: number
}

interface Tally {
  issued: number
  verified: number
  refused: number
  readonly failures: string[]
}

const now = () => Math.floor(Date.now() / 1000)

/** Time passes, and the server turns its ring as it would. */
async function passTo(keyturn: TestServer, at: number): Promise<void> {
  if (at > now()) mock.timers.setTime(at * 1000)
  await keyturn.server.issuers[0].scheduler.runAgain()
}

function createLoad(keyturn: TestServer) {
  const tally: Tally = { issued: 0, verified: 0, refused: 0, failures: [] }
  const kids = new Set<string>()
  const revoked = new Set<string>()
  let live: Issued[] = []
  const url = new URL(`${keyturn.issuer}/jwks`)
  // With jose's default caching: 10 minutes, 30 seconds of cool-down after a fetch.
  const relyingParties = Array.from({ length: RELYING_PARTIES }, () => createRemoteJWKSet(url))

  const keep = (token: string) => {
    const kid = decodeProtectedHeader(token).kid ?? ''
    live.push({ token, kid, exp: decodeJwt(token).exp ?? 0 })
    kids.add(kid)
    tally.issued += 1
  }

  async function verify({ token, kid, exp }: Issued): Promise<void> {
    for (const [index, jwks] of relyingParties.entries()) {
      // Not all RPs are busy: some verify now and then, and have older caches.
      if (index > 0 && Math.random() < 0.5) continue
      if (revoked.has(kid) || exp <= now()) return
      try {
        await jwtVerify(token, jwks, { issuer: keyturn.issuer })
        tally.verified += 1
      } catch (error) {
        // It may have expired or been revoked while this was under way.
        if (revoked.has(kid) || exp <= now()) return
        const at = new Date().toISOString()
        tally.failures.push(`${at} RP ${index}: ${error}, kid ${kid}, exp ${exp}`)
      }
    }
  }

  return {
    tally,
    kids,
    revoked,
    keep,
    /** Every token that must verify, at this instant. */
    async verifyAll(): Promise<void> {
      live = live.filter(({ exp }) => exp > now())
      for (const issued of live) await verify(issued)
    },
    verifySome: async () => {
      const issued = live[Math.floor(Math.random() * live.length)]
      if (issued) await verify(issued)
    },
    liveOf: (kid: string) => live.filter((issued) => issued.kid === kid && issued.exp > now()),
    relyingParties,
  }
}

type Load = ReturnType<typeof createLoad>

/**
 * Two workers that issue tokens and verify as they go. They are given a number of tokens for each
 * instant, so that the load is spread over the years and goes on while the ring turns.
 */
async function startIssuing(keyturn: TestServer, load: Load) {
  const machine = await discoverAs(keyturn.issuer, 'machine')
  const issue = async (resource: string, tokens: number) => {
    for (let i = 0; i < tokens; i++) {
      const parameters = { resource, scope: 'read' }
      load.keep((await client.clientCredentialsGrant(machine, parameters)).access_token)
      await load.verifySome()
    }
  }
  return (tokens: number) =>
    Promise.all([issue(API, tokens / 2), issue(`${API}/es256`, tokens / 2)])
}

/** A person signs in; the ID token joins those that must verify. */
async function signInOnce(load: Load, rp: client.Configuration): Promise<void> {
  const { url, redeem } = await authorizationRequest(rp)
  const { callback } = await signIn(createUserAgent(), url, PERSON)
  const tokens = await redeem(callback)
  load.keep(tokens.id_token ?? '')
}

describe('a relying party with default caching', () => {
  it(`verifies every token through ${ROTATIONS} rotations, ${MANUAL_ROTATIONS} by hand and an emergency`, async (t) => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() })
    t.after(() => mock.timers.reset())
    await using keyturn = await startTestServer()
    const { scheduler } = keyturn.server.issuers[0]
    const ring = 'sig/RS256'
    const keyIn = (phase: string): KeyState<RingKey> => {
      const found = scheduler.status.view?.states.find(
        (s) => s.key.ring === ring && s.phase === phase,
      )
      assert.ok(found, `${ring} has no ${phase} key`)
      return found
    }

    const load = createLoad(keyturn)
    const issue = await startIssuing(keyturn, load)
    const web = await discoverAs(keyturn.issuer, 'web')

    /** Stops at every instant of interest around `at`, with load at each. */
    const walk = async (at: number) => {
      for (const offset of INSTANTS) {
        if (at + offset < now()) continue
        // A clock that leaps stops the node until it has turned; nothing is asked of it meanwhile.
        if (at + offset - now() > HOUR - 60) await passTo(keyturn, at + offset - 60)
        // Tokens are issued while the clock moves, the ring turns and the provider is swapped.
        await Promise.all([issue(TOKENS_PER_INSTANT), passTo(keyturn, at + offset)])
        await issue(2)
        if (offset === -31 || offset === 1) await signInOnce(load, web)
        await load.verifyAll()
      }
    }

    for (let rotation = 1; rotation <= ROTATIONS; rotation++) {
      const { key, activatesAt } = keyIn('pre-active')
      await walk(activatesAt)
      assert.equal(keyIn('active').key.kid, key.kid)
    }

    for (let rotation = 1; rotation <= MANUAL_ROTATIONS; rotation++) {
      await passTo(keyturn, now() + 15 * DAY)
      const { key } = keyIn('pre-active')
      await issue(4)
      const order = { ring, actor: 'test', reason: 'by hand' }
      await operate(keyturn.config, (facts, policies, at) =>
        orderRotation(facts, policies, { ...order, now: at }),
      )
      await walk(now())
      assert.equal(keyIn('active').key.kid, key.kid)
    }

    await passTo(keyturn, now() + 2 * DAY)
    await issue(10)
    // An ID token lives longer than it takes every RP to notice.
    await signInOnce(load, web)
    await load.verifyAll()
    const { kid: leaked } = keyIn('active').key
    const { kid: standby } = keyIn('pre-active').key
    await operate(keyturn.config, (facts, policies, at) =>
      orderRevocation(facts, policies, { kid: leaked, now: at, actor: 'test', reason: 'leaked' }),
    )
    load.revoked.add(leaked)
    const revokedAt = now()
    await walk(revokedAt)
    assert.equal(keyIn('active').key.kid, standby, 'the standby, which RPs know, takes over')
    const published = await fetch(`${keyturn.issuer}/jwks`).then((answer) => answer.text())
    assert.ok(!published.includes(leaked), 'a revoked key is published')
    for (const { token } of load.liveOf(leaked)) {
      // Every RP has fetched the JWKS since: its cache lives ten minutes.
      for (const jwks of load.relyingParties) await assert.rejects(jwtVerify(token, jwks))
      load.tally.refused += 1
    }
    assert.ok(load.tally.refused > 0, 'no token of the revoked key was left to be refused')
    const flush = keyIn('pre-active')
    assert.equal(
      flush.activatesAt,
      revokedAt + 14 * DAY,
      'a fresh kid flushes what RPs still trust',
    )
    await walk(flush.activatesAt)

    const { issued, verified, refused, failures } = load.tally
    const years = ((now() - mockStart(keyturn)) / DAY / 365).toFixed(1)
    t.diagnostic(
      `${issued} tokens issued by ${load.kids.size} keys in ${years} years, ${verified} verifications, ` +
        `${refused} tokens of the revoked key refused, ${failures.length} failures`,
    )
    assert.deepEqual(failures, [])
    assert.ok(load.kids.size >= 2 * ROTATIONS, `only ${load.kids.size} keys signed`)
    assert.ok(verified > issued, 'the load did not verify what it issued')
  })
})

function mockStart({ server }: TestServer): number {
  const created =
    server.issuers[0].scheduler.status.view?.states.map((state) => state.key.createdAt) ?? []
  return Math.min(...created)
}
