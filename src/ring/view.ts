import { hash } from 'node:crypto'
import type { JWK } from 'jose'
import {
  activeKey,
  allStates,
  isPublished,
  type KeyState,
  nextChangeAt,
  nextPublishedChangeAt,
  type RingFacts,
} from './lifecycle.ts'
import type { RotationPolicies } from './policy.ts'
import type { RingKey } from './ring-key.ts'

/**
 * View of the rings at one instant as RPs and nodes see it: the JWKS, and which key signs. Pure. A
 * view is published whenever it differs from the one before (`scheduler.ts`).
 */
export interface RingView {
  /** Every key, in ring and generation order. */
  readonly states: readonly KeyState<RingKey>[]
  /** States by kid. */
  readonly byKid: ReadonlyMap<string, KeyState<RingKey>>
  /** RFC 7517 JWK Set, ring by ring: the active key first, then pre-active, then retired ones. */
  readonly jwks: { readonly keys: readonly JWK[] }
  /** First later instant at which any phase or plan can change. */
  readonly nextChangeAt: number | null
  /** First later instant at which the JWKS can change: no cache may keep it longer. */
  readonly nextPublishedChangeAt: number | null
  /** Differs whenever something changes that RPs, nodes or the provider can see. */
  readonly hash: string
}

/** The view of the rings at `now`. */
export function ringView(
  facts: RingFacts<RingKey>,
  policies: RotationPolicies,
  now: number,
): RingView {
  const states = allStates(facts, policies, now)
  const keys = jwksOrder(states).flatMap(({ key }) => key.publicJwk ?? [])
  const nextPublished = nextPublishedChangeAt(facts, policies, now)
  // Outsiders cannot tell whether a private half is there, but the provider must drop an erased
  // one.
  const visible = states.map(
    ({ key, phase }) => `${key.ring} ${key.kid} ${phase} ${key.hasPrivateHalf}`,
  )
  return {
    states,
    byKid: new Map(states.map((state) => [state.key.kid, state])),
    jwks: { keys },
    nextChangeAt: nextChangeAt(facts, policies, now),
    nextPublishedChangeAt: nextPublished,
    hash: hash('sha256', [...visible, nextPublished].join('\n'), 'base64url'),
  }
}

/** The key of the ring that signs; undefined if none may. */
export function signerOf(view: RingView, ring: string): KeyState<RingKey> | undefined {
  return activeKey(view.states.filter((state) => state.key.ring === ring))
}

/**
 * Seconds for which caches may keep a JWKS: none keeps it beyond the next change of the published
 * set. Never 0, because a rotation would make all RPs fetch it at once.
 * @param nextChangeAt seconds since the epoch; null if no change is due
 */
export function jwksMaxAgeAt(now: number, jwksMaxAge: number, nextChangeAt: number | null): number {
  return Math.max(1, Math.min(jwksMaxAge, (nextChangeAt ?? Infinity) - now))
}

/** Ring of the default algorithm of OpenID Connect (Core 1.0, section 2). */
const DEFAULT_RING = 'sig/RS256'

const PHASES = ['active', 'pre-active', 'retired']

/**
 * Keys of the default ring first, then those of the others as configured, because python-jose tries
 * key by key, whatever the kid, and throws at the first key of another type. RPs that take the
 * first key of a type (they should not) then take the one that signs.
 */
function jwksOrder(states: readonly KeyState<RingKey>[]): readonly KeyState<RingKey>[] {
  const rings = [...new Set([DEFAULT_RING, ...states.map(({ key }) => key.ring)])]
  const ring = ({ key }: KeyState) => rings.indexOf(key.ring)
  const phase = (state: KeyState) => PHASES.indexOf(state.phase)
  return states.filter(isPublished).sort((a, b) => ring(a) - ring(b) || phase(a) - phase(b))
}
