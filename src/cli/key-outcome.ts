import { toRfc3339 } from '../clock.ts'
import { activeKey, type KeyState } from '../ring/lifecycle.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { soonerText } from './key-prices.ts'
import { keyRow } from './key-words.ts'
import type { Session } from './session.ts'
import { instant, span } from './words.ts'

/** What an order has come to: who signs, who is next and when, and what nodes know of it. */

/** What an order has come to, in JSON. */
export function outcome(next: KeyState<RingKey> | undefined, states: readonly KeyState<RingKey>[]) {
  return {
    ring: next?.key.ring ?? null,
    kid: next?.key.kid ?? null,
    activatesAt: next ? toRfc3339(next.activatesAt) : null,
    keys: states.map(keyRow),
  }
}

/** Who signs, who is next, and when a running server knows. */
export function situation(states: readonly KeyState<RingKey>[], session: Session): string {
  const { now } = session
  const name = ({ key }: KeyState) => `${key.kid} (generation ${key.generation})`
  const active = activeKey(states)
  const waiting = states.filter((state) => state.phase === 'pre-active')
  return [
    active ? `Signs    ${name(active)}` : 'Signs    no key',
    ...waiting.map((state) => `Next     ${name(state)} from ${instant(state.activatesAt, now)}`),
    whenNodesFollow(session),
  ].join('\n')
}

/** What was written has been announced by now, or not. */
function whenNodesFollow({ config, stores: { redis } }: Session): string {
  const latest = span(config.rotation.refreshInterval)
  if (!redis) return `Running nodes follow within ${latest}.`
  const { isReachable, detail } = redis.status
  return isReachable
    ? `Running nodes follow at once; those that Redis does not reach, within ${latest}.`
    : `${detail}. Running nodes follow within ${latest}.`
}

/** Why a rotation is not at once, and how it could be. */
export function whyNotSooner(state: KeyState, session: Session): string {
  const { policies, now } = session
  const { key, activatesAt } = state
  const { propagation, published } = policies.policyFor(key.ring)
  const who = published ? 'every relying party' : 'every node'
  const sooner = soonerText(state, session)
  if (sooner === '') return ''
  return (
    `Key ${key.kid} has been published since ${instant(key.createdAt, now)}. A key signs once that ` +
    `is ${span(propagation)} (rotation.propagation), so that ${who} knows it by then: from ` +
    `${instant(activatesAt, now)}.\n\n${sooner}`
  )
}

/** What ends the trust of those that drop a key only when they meet another that is new to them. */
export function freshText(fresh: KeyState, session: Session): string {
  const { key, activatesAt } = fresh
  const { published } = session.policies.policyFor(key.ring)
  const trust = published
    ? 'Relying parties that fetch only for a kid that they have never seen go on trusting what is ' +
      'revoked until they meet the fresh key'
    : 'The fresh key is one that nobody had before. It is'
  return (
    `${trust} ${key.kid} (generation ${key.generation}), which signs from ` +
    `${instant(activatesAt, session.now)}. ${soonerText(fresh, session)}`
  )
}
