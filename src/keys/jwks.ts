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
import type { RingKey } from './seal.ts'

/**
 * What the outside can see of the rings at one instant: the JWKS, and which key signs. Pure. A new
 * view is published whenever it differs from the one before (`scheduler.ts`).
 */
export interface RingView {
  /** Every key, in ring and generation order. */
  readonly states: readonly KeyState<RingKey>[]
  /** RFC 7517 JWK Set: active keys first, then pre-active, then retired. */
  readonly jwks: { readonly keys: readonly JWK[] }
  /** First instant from then on when any phase or plan can differ. */
  readonly nextChangeAt: number | null
  /** First instant from then on when the JWKS can differ: no cache may keep it longer. */
  readonly nextPublishedChangeAt: number | null
  /** Equal for two views that everybody may treat as one. */
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
  // With or without its private half is no matter to outsiders; but a provider must let go of it.
  const visible = states.map(
    ({ key, phase }) => `${key.ring} ${key.kid} ${phase} ${key.hasPrivateHalf}`,
  )
  return {
    states,
    jwks: { keys },
    nextChangeAt: nextChangeAt(facts, policies, now),
    nextPublishedChangeAt: nextPublished,
    hash: hash('sha256', [...visible, nextPublished].join('\n'), 'base64url'),
  }
}

/** The key of the ring that signs, or undefined while none may. */
export function signerOf(view: RingView, ring: string): KeyState<RingKey> | undefined {
  return activeKey(view.states.filter((state) => state.key.ring === ring))
}

const JWKS_ORDER = ['active', 'pre-active', 'retired']

/** RPs that take the first key of a type (they should not) then take the one that signs. */
function jwksOrder(states: readonly KeyState<RingKey>[]): readonly KeyState<RingKey>[] {
  const rank = (state: KeyState) => JWKS_ORDER.indexOf(state.phase)
  return states.filter(isPublished).sort((a, b) => rank(a) - rank(b))
}
