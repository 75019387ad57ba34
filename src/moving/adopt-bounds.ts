import { toRfc3339 } from '../clock.ts'
import { Refused } from '../errors.ts'
import type { KeyFacts, RingName } from '../ring/key.ts'
import { allStates, type KeyState, publishedCount, type RingFacts } from '../ring/lifecycle.ts'
import { PUBLISHED_KEYS_MAX, type RingPolicy, type RotationPolicies } from '../ring/policy.ts'
import { formatDuration } from '../values/duration-text.ts'
import type { GivenRole } from './adopt-role.ts'

/**
 * Bounds of an import: tokens of the old system must stay valid, and the JWKS must not grow too
 * large. Pure.
 */

/**
 * Seconds ahead of now within which an instant is believed. The longest duration is as long, and a
 * later instant is a mistake in writing.
 */
const FAR = 36_500 * 86_400

/** Checks an instant to come. @throws Refused `instant_far` */
export function assertNear(at: number, now: number): void {
  const latest = now + FAR
  if (at <= latest) return
  throw new Refused(
    'instant_far',
    { at, latest },
    `${toRfc3339(at)} is more than 100 years ahead, so it is taken for a mistake. The latest instant is ` +
      `${toRfc3339(latest)}.`,
  )
}

/**
 * Checks the instant at which keys for validation are to leave the JWKS.
 * @throws Refused `end_past`, `end_unused`, `instant_far`
 */
export function assertEnd({
  notAfter: at,
  as,
  now,
}: {
  readonly notAfter?: number | undefined
  readonly as?: GivenRole | undefined
  readonly now: number
}): void {
  if (at === undefined) return
  if (as !== 'validation') {
    throw new Refused(
      'end_unused',
      { at },
      'Only a key for validation can be given the instant at which it leaves the JWKS. A key that signs leaves ' +
        'one retention after it has been replaced.',
    )
  }
  if (at <= now) {
    throw new Refused(
      'end_past',
      { at },
      `The keys would have left the JWKS at ${toRfc3339(at)}, and it is ${toRfc3339(now)} now. Relying parties ` +
        'would never find them, so nothing was added. Name an instant to come.',
    )
  }
  assertNear(at, now)
}

/**
 * Checks that each key stays until the tokens that it signed in the old system have expired.
 * @throws Refused `retention_short`
 */
export function assertTokensOutlived(
  states: readonly KeyState[],
  added: readonly KeyFacts[],
  {
    tokenLifetime,
    notAfter,
    policy,
    now,
  }: {
    readonly tokenLifetime?: number | undefined
    readonly notAfter?: number | undefined
    readonly policy: RingPolicy
    readonly now: number
  },
): void {
  if (tokenLifetime === undefined) return
  const needed = tokenLifetime + 2 * policy.clockSkew
  const { ring } = policy
  const signing = added.filter((key) => !key.verifiesOnly)
  const kids = new Set(signing.map(({ kid }) => kid))
  const short = states.find(
    ({ key, recordedRetention }) =>
      kids.has(key.kid) && Math.max(recordedRetention, policy.retention) < needed,
  )
  if (short) {
    const kept = Math.max(short.recordedRetention, policy.retention)
    throw new Refused(
      'retention_short',
      { ring, needed, kept },
      `Tokens of the old system live ${formatDuration(tokenLifetime)}, and a key of ring ${ring} is kept for ` +
        `${formatDuration(kept)} once it retires. Set rotation.rings.${ring}.retention (or rotation.retention) ` +
        `to at least ${formatDuration(needed)}.`,
    )
  }
  if (notAfter === undefined || notAfter >= now + needed) return
  throw new Refused(
    'retention_short',
    { ring, needed, kept: notAfter - now },
    `Tokens of the old system live ${formatDuration(tokenLifetime)}, so its keys are needed until ` +
      `${toRfc3339(now + needed)}, and they are to leave earlier.`,
  )
}

/**
 * Checks the size of the JWKS.
 * @throws Refused `jwks_full` if more keys would be published than RPs and load balancers accept
 */
export function assertRoom(
  after: RingFacts,
  added: readonly { readonly facts: { readonly ring: RingName } }[],
  { policies, now }: { readonly policies: RotationPolicies; readonly now: number },
): void {
  const [first] = added
  const count = publishedCount(after, policies, now)
  if (!first || count <= PUBLISHED_KEYS_MAX) return
  const leaving = allStates(after, policies, now)
    .flatMap(({ phase, unpublishAt }) => (phase === 'retired' ? (unpublishAt ?? []) : []))
    .sort((a, b) => a - b)
  const freeAt = leaving[count - PUBLISHED_KEYS_MAX - 1] ?? null
  const when = freeAt === null ? '' : ` There is room from ${toRfc3339(freeAt)}.`
  throw new Refused(
    'jwks_full',
    { ring: first.facts.ring, freeAt },
    `With these ${added.length} keys ${count} would be published, and relying parties and load balancers accept ` +
      `${PUBLISHED_KEYS_MAX}.${when} Leave out keys that are needed no more, or move one ring after the other.`,
  )
}
