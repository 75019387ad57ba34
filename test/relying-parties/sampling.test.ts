import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Span, spansOf } from '../../src/relying-parties/cluster.ts'
import { createCache } from '../../src/relying-parties/delivery.ts'
import { historyOf, usualOrders } from '../../src/relying-parties/history.ts'
import type { RpModel } from '../../src/relying-parties/model.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { startRelyingParty } from '../../src/relying-parties/relying-party.ts'
import { simulate } from '../../src/relying-parties/simulate.ts'
import type { RingPolicy } from '../../src/ring/policy.ts'
import { POLICY, policiesOf } from '../support/rings.ts'

/**
 * The worst cases are enumerated; this looks for a worse one by chance: RPs that fetch and judge at
 * random instants, from random nodes, directly or through a cache, tokens of random nodes.
 */

const START = 1000
const HORIZON = 6000
const SETTINGS = { refreshInterval: 5, jwksMaxAge: 20, staleWhileRevalidate: 5, tokenLifetime: 60 }
const FLIGHT = 2

/** Kinds of RPs with times that fit this scale. */
function scaled(name: string, times: Partial<RpModel>): RpModel {
  const model = RP_MODELS.find((each) => each.name === name)
  assert.ok(model)
  return { ...model, ...times }
}

const models: readonly RpModel[] = [
  scaled('ttl-5m', { lifetime: 30 }),
  scaled('ttl-20m-timer', { lifetime: 30 }),
  scaled('maxage', {}),
  scaled('ttl10m-kid30s', { lifetime: 30, coolDown: { lasts: 12 } }),
  scaled('forever-kid0', {}),
  scaled('forever-kid10m', { coolDown: { lasts: 30 } }),
  scaled('maxage-then-kid', {}),
  scaled('perkid-10m', { lifetime: 20 }),
  scaled('none', {}),
]

/** The policy that is just safe for all of them, and what it leaves too short. */
const SAFE: Partial<RingPolicy> = {
  cryptoperiod: 700,
  propagation: 200,
  retention: 200,
  maxRingAge: 20,
  clockSkew: 3,
}

function margins(policy: Partial<RingPolicy>) {
  const policies = policiesOf({ ...POLICY, ...policy })
  const scene = { ...SETTINGS, policies, models, start: START, horizon: HORIZON, flight: FLIGHT }
  const reports = simulate(scene).models
  const least = (name: 'forward' | 'backward') =>
    Math.min(...reports.map((report) => report[name] ?? Number.NaN))
  return { forward: least('forward'), backward: least('backward') }
}

interface Token {
  readonly kid: string
  /** True time. */
  readonly expiresAt: number
}

/** One RP for some minutes around a change of the store. */
function refusals(
  spans: readonly Span[],
  model: RpModel,
  startsAt: number,
  draws: readonly number[],
): number {
  const near = spans.filter(({ from, until }) => until > startsAt - 60 && from < startsAt + 600)
  let drawn = 0
  const draw = (below: number) => (draws[drawn++ % draws.length] ?? 0) % below
  const pick = <T>(list: readonly T[]) => list[draw(list.length)]
  const nodesAt = (at: number) => near.filter(({ from, until }) => from <= at && at < until)
  const origin = (at: number) => {
    const span = pick(nodesAt(at))
    const change = (span?.view.nextPublishedChangeAt ?? Infinity) - at - (span?.node.offset ?? 0)
    const maxAge = Math.max(1, Math.min(SETTINGS.jwksMaxAge, change))
    return { at, kids: span?.view.kids ?? new Set<string>(), maxAge }
  }
  const rules = { staleWhileRevalidate: SETTINGS.staleWhileRevalidate, staleIfError: 0 }
  const cache = draw(2) === 0 ? origin : createCache(origin, rules)
  let asked = 0
  const rp = startRelyingParty(model, (end) => {
    asked = Math.max(asked, end - draw(FLIGHT + 1))
    return cache(asked) ?? assert.fail('no answer')
  })
  const tokens: Token[] = []
  let refused = 0
  for (let at = startsAt; at < startsAt + 300; at += 1 + draw(6)) {
    const signer = pick(nodesAt(at))
    const [kid] = signer?.view.signers.keys() ?? []
    const expiresAt = at + (signer?.node.offset ?? 0) + SETTINGS.tokenLifetime
    if (kid !== undefined) tokens.push({ kid, expiresAt })
    // Some RPs sleep, and start late.
    if (draw(3) === 0) continue
    const token = pick(tokens.filter((each) => each.expiresAt > at))
    if (token && !rp.verify(token.kid, at)) refused += 1
  }
  return refused
}

/** How many of some thousand random RPs refuse a valid token. */
function sample(policy: Partial<RingPolicy>, runs: number): number {
  const policies = policiesOf({ ...POLICY, ...policy })
  const { maxRingAge, clockSkew } = { ...POLICY, ...policy }
  const until = START + HORIZON
  // Revoked keys fail by design.
  const orders = usualOrders(policies, { start: START, until }).filter((o) => o.do === 'rotate')
  const times = { start: START, until, makerOffset: -clockSkew, orderOffset: 0, outages: [] }
  const versions = historyOf(policies, { ...times, orders })
  const spans = spansOf(versions, policies, {
    ...{ nodes: 12, maxRingAge, clockSkew, until, outages: [], refreshInterval: 5 },
    ...{ ringAgeLimit: true, clockLimit: true, turnsWithoutStore: true },
  })
  const events = versions.map(({ at }) => at).filter((at) => at > START && at < until - 700)
  const arbitrary = fc.record({
    model: fc.constantFrom(...models),
    at: fc.constantFrom(...events),
    shift: fc.integer({ min: -100, max: 250 }),
    draws: fc.array(fc.nat(10_000), { minLength: 150, maxLength: 150 }),
  })
  return fc.sample(arbitrary, runs).filter(({ model, at, shift, draws }) => {
    const startsAt = Math.max(START, at + shift)
    return refusals(spans, model, startsAt, draws) > 0
  }).length
}

describe('an RP that does things at random', () => {
  const { forward, backward } = margins(SAFE)
  const propagation = 200 - forward
  const retention = 200 - backward

  it('finds nothing worse than the enumeration does, where that leaves no margin', () => {
    const tight = { ...SAFE, propagation, retention }
    assert.deepEqual(margins(tight), { forward: 0, backward: 0 })
    assert.equal(sample(tight, 5000), 0)
  })

  it('finds failures where keys sign or leave too early', () => {
    assert.ok(sample({ ...SAFE, propagation: propagation - 60 }, 1000) > 0)
    assert.ok(sample({ ...SAFE, retention: retention - 30 }, 1000) > 0)
  })
})
