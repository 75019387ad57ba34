import type { ImportedKey } from '../import/imported-key.ts'
import { NEVER } from '../ring/key.ts'
import { isPublished, type KeyState, meantUntil } from '../ring/lifecycle.ts'
import { nextGeneration } from '../ring/plan.ts'
import type { RingPolicy } from '../ring/policy.ts'
import type { SealedFacts } from '../ring/ring-key.ts'
import type { Roles } from './adopt-role.ts'

/**
 * Dates at which each key of one ring signs and leaves, as facts that record what the old system
 * did. Pure.
 */

export interface LifeOptions {
  readonly policy: RingPolicy
  /** States of the keys that the ring already has. */
  readonly states: readonly KeyState[]
  /** Highest generation that was ever seen. */
  readonly seen: number | undefined
  readonly now: number
  readonly tokenLifetime?: number | undefined
  readonly notAfter?: number | undefined
  readonly as?: string | undefined
  /** Keys that the ring had only to verify, whose private half is now added. */
  readonly halves?: Halves
}

/** States by kid. */
export type Halves = ReadonlyMap<string, KeyState>

export type AdoptedLife = Omit<SealedFacts, 'kid' | 'ring' | 'algorithm'> & {
  readonly key: ImportedKey
}

/**
 * Instant since which relying parties have found the key in the JWKS, if it was added only to
 * verify and they still do.
 */
export function publishedSince(state: KeyState | undefined): number | undefined {
  return state && isPublished(state) ? state.activatesAt : undefined
}

/** Decides the dates of all keys, in order of generation. */
export function lifeIn(roles: Roles, options: LifeOptions): readonly AdoptedLife[] {
  const first = nextGeneration(options.states, options.seen ?? 0)
  const signer = roles.signer && signerLife(roles.signer, options)
  const lives = [
    ...roles.old.map((key) => oldLife(key, options)),
    ...(signer ? [signer] : []),
    ...nextLives(roles, signer, options),
  ]
  return lives.map((life, index) => ({ ...life, generation: first + index }))
}

type Life = Omit<AdoptedLife, 'generation'>

/**
 * Decides the dates of a key that only verifies. It leaves when it would have left in the old
 * system, or, if that is unknown, once no token can need it.
 */
function oldLife(key: ImportedKey, options: LifeOptions): Life {
  const { now, policy, tokenLifetime = 0, notAfter } = options
  const keep = Math.max(policy.retention, tokenLifetime + 2 * policy.clockSkew)
  // A key that signed until now has an end that was meant for a longer life.
  const given = key.phaseHint === 'old' || !key.private ? key.expiresAt : undefined
  const end = notAfter ?? given ?? now + keep
  const activatesAt = Math.min(now, key.retiresAt ?? now, end)
  const createdAt = bornAt(key, now)
  return { key, createdAt, activatesAt, retention: end - activatesAt, verifiesOnly: true }
}

function signerLife(key: ImportedKey, options: LifeOptions): Life {
  const { now, policy, as, states, halves } = options
  const { clockSkew, propagation } = policy
  const { retiresAt } = key
  const since = publishedSince(halves?.get(key.kid)) ?? now
  const life = {
    key,
    retention: retentionOf(key, policy),
    // The new successor takes over when the old system would have switched.
    ...(retiresAt !== undefined && retiresAt > now && { signsUntil: retiresAt }),
  }
  if (states.some(({ phase }) => phase === 'active')) {
    // The key is promoted at once, but by an event, from which nodes hear of it.
    return { ...life, createdAt: bornAt(key, since), activatesAt: now + propagation }
  }
  // The activation is backdated, so that a node whose clock is behind agrees that the key may sign.
  const latest = now - 2 * clockSkew
  if (as) return { ...life, createdAt: since, activatesAt: latest }
  const activatesAt = Math.min(key.activatesAt ?? key.createdAt ?? latest, latest)
  return { ...life, createdAt: Math.min(bornAt(key, since), activatesAt), activatesAt }
}

function nextLives(
  { next }: Roles,
  signer: Life | undefined,
  { now, policy, states, as, halves }: LifeOptions,
): readonly Life[] {
  const { propagation, cryptoperiod, manual } = policy
  const turning = states.filter(
    ({ phase, activatesAt }) =>
      (phase === 'active' || phase === 'pre-active') && activatesAt < NEVER,
  )
  const ends = turning.map((state) => meantUntil(state, policy))
  const own = signer && (signer.signsUntil ?? signer.activatesAt + cryptoperiod)
  let end = Math.max(own ?? -Infinity, ...ends)
  return next.map((key) => {
    // A key that somebody adds by hand was never published before, unless the ring had it to
    // verify.
    const since = publishedSince(halves?.get(key.kid)) ?? now
    const createdAt = as ? since : bornAt(key, since)
    const planned = as ? undefined : key.activatesAt
    // A switch that the old system had planned comes at its planned instant. Otherwise late is safe
    // and early is not.
    const activatesAt = planned ?? Math.max(end, createdAt + propagation)
    end = activatesAt + cryptoperiod
    const retention = retentionOf(key, policy)
    return { key, createdAt, activatesAt: manual ? NEVER : activatesAt, retention }
  })
}

/** Creation of a key, not after now, because a clock that was ahead may have dated it. */
function bornAt(key: ImportedKey, now: number): number {
  return Math.min(key.createdAt ?? now, now)
}

/** Retention of a key: that of the old system if it is longer than the policy's. */
function retentionOf({ retiresAt, expiresAt }: ImportedKey, { retention }: RingPolicy): number {
  if (retiresAt === undefined || expiresAt === undefined) return retention
  return Math.max(retention, expiresAt - retiresAt)
}
