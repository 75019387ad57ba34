import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Refused } from '../../src/errors.ts'
import { type Action, assume } from '../../src/ring/action.ts'
import {
  activeKey,
  isPublished,
  nextChangeAt,
  type RingFacts,
  ringStates,
} from '../../src/ring/lifecycle.ts'
import {
  orderPromotion,
  orderRevocation,
  orderRevocationBefore,
  orderRotation,
} from '../../src/ring/orders.ts'
import { plan } from '../../src/ring/plan.ts'
import type { RingPolicy } from '../../src/ring/policy.ts'
import { POLICY, policiesOf } from '../support/rings.ts'

/**
 * Random histories of one ring: time passes, operators rotate, promote and revoke, the policy
 * changes, plans come late. After every step the promises of the ring must hold.
 */

/** Policies in these histories never propagate for less. */
const SHORTEST_PROPAGATION = 60

const ORDER = { actor: 'test', reason: 'test' }

type OperatorStep =
  | { do: 'rotate' }
  | { do: 'promote'; force: boolean }
  | { do: 'revoke'; phase: 'active' | 'pre-active' }
  | { do: 'revoke oldest' }
  | { do: 'revoke before'; ago: number }

type Step =
  | OperatorStep
  | { do: 'wait'; seconds: number }
  | { do: 'wait for the next change'; plus: number }
  | { do: 'policy'; change: Partial<RingPolicy> }

const policyChange: fc.Arbitrary<Partial<RingPolicy>> = fc.oneof(
  fc.record({ cryptoperiod: fc.integer({ min: 101, max: 3000 }) }),
  fc.record({ retention: fc.integer({ min: 60, max: 900 }) }),
  fc.record({ standby: fc.boolean() }),
  fc.record({ propagation: fc.integer({ min: SHORTEST_PROPAGATION, max: 100 }) }),
)

const is = <const T extends string>(name: T) => fc.constant(name)

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: is('wait'), seconds: fc.nat(1500) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: is('wait for the next change'),
      plus: fc.constantFrom(0, 0, 0, -1, 1, 7),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: is('rotate') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: is('revoke'),
      phase: fc.constantFrom('active' as const, 'pre-active' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: is('revoke oldest') }) },
  { weight: 1, arbitrary: fc.record({ do: is('promote'), force: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: is('revoke before'), ago: fc.nat(800) }) },
  { weight: 1, arbitrary: fc.record({ do: is('policy'), change: policyChange }) },
)

/** What an observer of the ring remembers of each key. */
interface Memory {
  /** Last second at which it signed; a node that is behind may sign for maxRingAge + skew more. */
  lastSignature: number
  /** Longest life of a token it signed. */
  longestToken: number
}

class Ring {
  facts: RingFacts = { keys: [], events: [] }
  policy = POLICY
  now = 10_000
  readonly memory = new Map<string, Memory>()
  readonly revoked = new Set<string>()
  /** Keys that may sign before RPs know them: forced, or needed in an emergency. */
  readonly excused = new Set<string>()
  names = 0

  get policies() {
    return policiesOf(this.policy)
  }

  get states() {
    return ringStates(this.facts, this.policy, this.now)
  }

  /** Applies the plan as a store would: a new key gets its own kid. */
  turn(): void {
    for (const action of plan(this.facts, this.policies, this.now).actions) {
      const made = new Map([
        [
          `${POLICY.ring}#${action.type === 'create' ? action.generation : ''}`,
          `kid-${++this.names}`,
        ],
      ])
      this.facts = assume(this.facts, action)
      this.facts = {
        keys: this.facts.keys.map((key) => ({ ...key, kid: made.get(key.kid) ?? key.kid })),
        events: this.facts.events,
      }
    }
  }

  /** Tokens live as long as the retention bound allows: retention - 2 x skew. */
  sign(): void {
    const active = activeKey(this.states)
    if (!active) return
    const before = this.memory.get(active.key.kid)
    const lifetime = this.policy.retention - 2 * this.policy.clockSkew
    this.memory.set(active.key.kid, {
      lastSignature: this.now,
      longestToken: Math.max(lifetime, before?.longestToken ?? 0),
    })
  }

  /** Time passes with a signature in every second that could matter. */
  waitUntil(at: number): void {
    for (;;) {
      const next = nextChangeAt(this.facts, this.policies, this.now)
      const stop = Math.min(at, (next ?? Infinity) - 1)
      if (stop > this.now) {
        this.now = stop
        this.sign()
      }
      if (this.now >= at) return
      this.now += 1
      this.turn()
      this.check()
      this.sign()
    }
  }

  apply(step: Step): void {
    try {
      if (step.do === 'wait') this.waitUntil(this.now + step.seconds)
      else if (step.do === 'policy') this.policy = { ...this.policy, ...step.change }
      else if (step.do === 'wait for the next change') {
        const next = nextChangeAt(this.facts, this.policies, this.now)
        if (next !== null) this.waitUntil(Math.max(this.now, next + step.plus))
      } else {
        const action = this.order(step)
        if (action) this.facts = assume(this.facts, action)
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
    }
  }

  /** What an operator's step comes to; undefined where there is nothing to do it to. */
  order(step: OperatorStep): Action | undefined {
    const { facts, policies, now } = this
    const { ring } = POLICY
    const find = (phase: string) => this.states.find((state) => state.phase === phase)?.key.kid
    if (step.do === 'rotate') return orderRotation(facts, policies, { ring, now, ...ORDER })
    if (step.do === 'revoke before') {
      const createdBefore = now - step.ago
      return orderRevocationBefore(facts, policies, { ring, createdBefore, now, ...ORDER })
    }
    if (step.do === 'promote') {
      const kid = find('pre-active')
      if (!kid) return undefined
      const action = orderPromotion(facts, policies, { kid, force: step.force, now, ...ORDER })
      if (step.force) this.excused.add(kid)
      return action
    }
    const kid = step.do === 'revoke oldest' ? this.states[0]?.key.kid : find(step.phase)
    return kid === undefined ? undefined : orderRevocation(facts, policies, { kid, now, ...ORDER })
  }

  /** The promises. */
  check(): void {
    const { states, now, policy } = this
    const active = states.filter((state) => state.phase === 'active')
    assert.ok(active.length <= 1, 'two active keys')
    assert.equal(active.length, 1, 'no active key after a plan')
    assert.ok(active[0]?.key.hasPrivateHalf, 'the active key cannot sign')

    for (const event of this.facts.events) if (event.type === 'revoke') this.revoked.add(event.kid)
    for (const state of states) {
      if (state.phase === 'revoked') this.revoked.add(state.key.kid)
      assert.ok(
        !this.revoked.has(state.key.kid) || state.phase === 'revoked',
        'a revoked key is trusted again',
      )
      const memory = this.memory.get(state.key.kid)
      if (!memory || state.phase === 'revoked') continue
      const lastToken = memory.lastSignature + memory.longestToken
      assert.ok(
        now > lastToken || isPublished(state),
        `unpublished at ${now}, before its last token expired at ${lastToken}`,
      )
    }

    const signer = active[0]
    assert.ok(signer)
    const { kid, generation, createdAt } = signer.key
    const lead = signer.activatesAt - createdAt
    // A key that signs early is excused once: when a revocation left the ring without a signer.
    const isFirst = !this.memory.has(kid)
    if (isFirst && states.some((state) => state.phase === 'revoked')) this.excused.add(kid)
    assert.ok(
      generation === 1 || this.excused.has(kid) || lead >= SHORTEST_PROPAGATION,
      `signs ${lead} s after it was published`,
    )

    const again = plan(this.facts, this.policies, now)
    assert.deepEqual(again.actions, [], 'planning twice does more than planning once')

    const next = nextChangeAt(this.facts, this.policies, now)
    const until = (next ?? now + 10_000) - 1
    for (const at of [now + 1, Math.floor((now + until) / 2), until]) {
      if (at <= now || at > until) continue
      const phases = (t: number) => ringStates(this.facts, policy, t).map((state) => state.phase)
      assert.deepEqual(phases(at), phases(now), `a phase changed before nextChangeAt, at ${at}`)
      assert.deepEqual(
        plan(this.facts, this.policies, at).actions,
        [],
        `a plan before nextChangeAt, at ${at}`,
      )
    }
  }
}

describe('any history of a ring', () => {
  it('keeps every promise after every step', () => {
    let signed = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const ring = new Ring()
        ring.turn()
        ring.check()
        for (const next of steps) {
          ring.sign()
          ring.apply(next)
          ring.turn()
          ring.check()
        }
        signed += ring.memory.size
      }),
      { numRuns: 2000 },
    )
    assert.ok(signed > 5000, `the histories turned the ring only ${signed} times`)
  })

  it('with plans that come arbitrarily late still never has two signers or an unseen one', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4000), { maxLength: 20 }), (delays) => {
        const ring = new Ring()
        ring.turn()
        for (const delay of delays) {
          ring.now += delay
          assert.equal(ring.states.filter((state) => state.phase === 'active').length, 1)
          ring.turn()
          ring.check()
        }
      }),
    )
  })
})
