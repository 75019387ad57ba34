import { toRfc3339 } from '../clock.ts'
import { activeKey, type KeyState } from '../ring/lifecycle.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { soonerText } from './key-prices.ts'
import { keyRow } from './key-words.ts'
import type { Session } from './session.ts'
import { instant, span } from './words.ts'

/** Results of orders: the active key, the next keys, and when nodes follow. */

/** The result of an order in JSON. */
export function outcome(next: KeyState<RingKey> | undefined, states: readonly KeyState<RingKey>[]) {
  return {
    ring: next?.key.ring ?? null,
    kid: next?.key.kid ?? null,
    activatesAt: next ? toRfc3339(next.activatesAt) : null,
    keys: states.map(keyRow),
  }
}

/** The active key, the next keys, and when running nodes follow, in words. */
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

/** When running nodes follow, which Redis tells of the order at once. */
function whenNodesFollow({ config, stores: { redis } }: Session): string {
  const latest = span(config.rotation.refreshInterval)
  if (!redis) return `Running nodes follow within ${latest}.`
  const { isReachable, detail } = redis.status
  return isReachable
    ? `Running nodes follow at once, or within ${latest} if Redis does not reach them.`
    : `${detail}. Running nodes follow within ${latest}.`
}

/** Why a rotation waits, and how it could be sooner. */
export function whyNotSooner(state: KeyState, session: Session): string {
  const { policies, now } = session
  const { key, activatesAt } = state
  const { propagation, published } = policies.policyFor(key.ring)
  const who = published ? 'every relying party' : 'every node'
  const sooner = soonerText(state, session)
  if (sooner === '') return ''
  return (
    `Key ${key.kid} has been published since ${instant(key.createdAt, now)}. It signs after ` +
    `${span(propagation)} (rotation.propagation), when ${who} knows it: from ` +
    `${instant(activatesAt, now)}.\n\n${sooner}`
  )
}

/** Explains the fresh key after a revocation, which makes relying parties drop the revoked key. */
export function freshText(fresh: KeyState, session: Session): string {
  const { key, activatesAt } = fresh
  const { published } = session.policies.policyFor(key.ring)
  const trust = published
    ? 'Relying parties that fetch the JWKS only for an unknown kid trust the revoked key until they meet ' +
      'the fresh key'
    : 'The fresh key, which nobody had before, is'
  return (
    `${trust} ${key.kid} (generation ${key.generation}), which signs from ` +
    `${instant(activatesAt, session.now)}. ${soonerText(fresh, session)}`
  )
}
