import type { JWK } from 'jose'
import { Refused } from '../errors.ts'
import { publicHalf } from '../import/build-key.ts'
import { publishedCertificates } from '../import/certificates.ts'
import type { Imported, ImportedKey } from '../import/imported-key.ts'
import type { ImportCode } from '../import/refusal.ts'
import { type KeyEvent, keyEvent, type RingName } from '../ring/key.ts'
import { assertKnown } from '../ring/known.ts'
import { activeKey, isRevocationOf, type RingFacts, ringStates } from '../ring/lifecycle.ts'
import { findState, orderPromotion } from '../ring/orders.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { SealedFacts } from '../ring/ring-key.ts'
import { assertAble, assertNextKnown } from './adopt-able.ts'
import { assertRoom, assertTokensOutlived } from './adopt-bounds.ts'
import { type Halves, lifeIn, publishedSince } from './adopt-life.ts'
import { type Present, presenceOf } from './adopt-presence.ts'
import { ringLines, ringOf } from './adopt-ring.ts'
import { type GivenRole, rolesOf } from './adopt-role.ts'

/**
 * Keys of another system become facts of rings, so that each goes on as it was: the one that signed signs on, the
 * one that is to be next follows when it would have, and the others verify until they would have left. Pure: what
 * is decided here is written by `operate.ts`.
 */

export interface AdoptOptions {
  /** Seconds since the epoch. */
  readonly now: number
  readonly policies: RotationPolicies
  readonly actor: string
  readonly reason: string
  /** kids of keys that are to sign next, where the source cannot tell. */
  readonly next?: readonly string[] | undefined
  /** kids whose loss is accepted. */
  readonly leave?: readonly string[] | undefined
  /** Which one signs on in a ring that signs already. */
  readonly signer?: 'imported' | 'present' | undefined
  /** Seconds for which tokens of the old system are valid at most. */
  readonly tokenLifetime?: number | undefined
  /** For all keys of a file that somebody adds by hand. */
  readonly as?: GivenRole | undefined
  readonly ring?: RingName | undefined
  /** Does the old system publish `x5t#S256` beside `x5t`? */
  readonly showsSha256?: boolean | undefined
  /** When a key for validation leaves the JWKS. */
  readonly notAfter?: number | undefined
}

/** Why a key that was read stays where it is. */
export type LeftCode =
  /** The old system does not publish it. */
  | 'key_disabled'
  /** It decrypts, and rings sign. */
  | 'key_encrypts'
  /** No ring of the configuration has its algorithm. */
  | 'ring_missing'
  /** It was revoked here. */
  | 'key_revoked'

/** A key that does not come along, and why. */
export interface LeftKey {
  /** A kid or alias where there is one, else the place in the source. */
  readonly name: string
  readonly code: ImportCode | LeftCode
  readonly reason: string
}

/** A key that is to be sealed and stored. */
export interface NewRecord {
  readonly facts: SealedFacts
  readonly jwk: JWK
}

export interface Adoption {
  /** Keys that are, or will be, in a ring; those that were there before included. */
  readonly keys: readonly { readonly key: ImportedKey; readonly ring: RingName }[]
  readonly left: readonly LeftKey[]
  /** kids of `left` that the old system publishes and nobody has given up: nothing is written until somebody has. */
  readonly lost: readonly string[]
  readonly records: {
    readonly keys: readonly NewRecord[]
    readonly events: readonly KeyEvent[]
    /** kids of `keys` that were here to verify, and whose private half comes now. */
    readonly completed: readonly string[]
  }
  /** The facts as they are once all is written. */
  readonly after: RingFacts
}

/**
 * Decides what becomes of keys of another system.
 * @throws Refused with the way out: signer_undecided, retention_short, jwks_full, kid_taken, and others
 */
export function adopt(imported: Imported, present: Present, options: AdoptOptions): Adoption {
  const { policies, now } = options
  assertNextKnown(imported.keys, options)
  const { coming, left } = sort(imported.keys, present, options)
  const byRing = Map.groupBy(coming, ({ ring }) => ring)
  const records: NewRecord[] = []
  const events: KeyEvent[] = []
  const completed: string[] = []
  let after: RingFacts = present
  for (const [ring, placed] of byRing) {
    const fresh = placed.flatMap(({ key }) => {
      const there = presenceOf(key, ring, present, options)
      return there === 'whole' ? [] : { key, isHalf: there === 'half' }
    })
    if (fresh.length === 0) continue
    const made = intoRing(fresh, ring, present, options)
    records.push(...made.records)
    events.push(...made.events)
    completed.push(...made.completed)
    const added = made.records.map(({ facts, jwk }) => ({
      ...facts,
      hasPrivateHalf: jwk.d !== undefined,
    }))
    after = {
      ...after,
      keys: [...after.keys.filter(({ kid }) => !made.completed.includes(kid)), ...added],
      events: [...after.events, ...made.events],
    }
    const policy = policies.policyFor(ring)
    assertTokensOutlived(ringStates(after, policy, now), added, { ...options, policy })
  }
  if (options.as === 'active') {
    for (const { key, ring } of coming) {
      if (presenceOf(key, ring, present, options) !== 'whole') continue
      const event = promotion(key.kid, after, options)
      if (!event) continue
      events.push(event)
      after = { ...after, events: [...after.events, event] }
    }
  }
  assertRoom(after, records, { policies, now })
  const gone = left.filter(({ code }) => code === 'ring_missing').map(({ name }) => name)
  const lost = gone.filter((kid) => !options.leave?.includes(kid))
  return {
    keys: coming,
    left: [...left, ...imported.left],
    lost,
    records: { keys: records, events, completed },
    after,
  }
}

/** A key that is there and is to sign does so, once relying parties know it; undefined where it signs already. */
function promotion(
  kid: string,
  facts: RingFacts,
  { policies, now, actor, reason }: AdoptOptions,
): KeyEvent | undefined {
  if (findState(facts, policies, kid, now).phase === 'active') return undefined
  return orderPromotion(facts, policies, { kid, force: false, now, actor, reason }).event
}

/** Which keys come into which ring, and which stay where they are. */
function sort(keys: readonly ImportedKey[], present: Present, options: AdoptOptions) {
  const left: LeftKey[] = []
  const coming: { key: ImportedKey; ring: RingName }[] = []
  for (const key of keys) {
    const reason = reasonToStay(key, present, options)
    const ring = reason ? undefined : ringOf(key, options.policies, options.ring)
    if (reason) left.push({ name: key.kid, ...reason })
    else if (ring !== undefined) coming.push({ key, ring })
    else left.push({ name: key.kid, code: 'ring_missing', reason: withoutRing(key, options) })
  }
  return { coming, left }
}

function reasonToStay(
  key: ImportedKey,
  present: Present,
  { now, policies, ring }: AdoptOptions,
): Omit<LeftKey, 'name'> | undefined {
  if (key.phaseHint === 'disabled') {
    return {
      code: 'key_disabled',
      reason: 'The old system publishes it no more, and tokens under it are refused there.',
    }
  }
  if (key.use === 'enc') {
    return {
      code: 'key_encrypts',
      reason:
        'It encrypts, and no ring decrypts: what is encrypted for it stays with the old system.',
    }
  }
  const place = { kid: key.kid, ring: ringOf(key, policies, ring) ?? '' }
  const fact = { ...place, createdAt: Math.min(key.createdAt ?? now, now) }
  if (!present.events.some((event) => isRevocationOf(event, fact))) return undefined
  return { code: 'key_revoked', reason: 'It was revoked here, and is not trusted again.' }
}

function withoutRing({ algorithm }: ImportedKey, { ring }: AdoptOptions): string {
  if (ring !== undefined) {
    return `It is a key of ${algorithm}, which ring ${ring} does not have, or that ring is not configured.`
  }
  return (
    `No ring of the configuration signs with ${algorithm}. Relying parties could not verify what it signed. ` +
    `Add beside the rings that are there: ${ringLines(algorithm)}`
  )
}

interface IntoRing {
  readonly records: readonly NewRecord[]
  readonly events: readonly KeyEvent[]
  readonly completed: readonly string[]
}

/** The facts of keys that come into one ring. */
function intoRing(
  fresh: readonly { readonly key: ImportedKey; readonly isHalf: boolean }[],
  ring: RingName,
  present: Present,
  options: AdoptOptions,
): IntoRing {
  const { now, policies, actor, reason } = options
  const policy = policies.policyFor(ring)
  const states = ringStates(present, policy, now)
  const active = activeKey(states)
  const keys = fresh.map(({ key }) => key)
  const halves = new Map(
    fresh.flatMap(({ key: { kid }, isHalf }) => {
      const state = isHalf && states.find(({ key }) => key.kid === kid)
      return state ? [[kid, state] as const] : []
    }),
  )
  const all = decided(rolesOf(keys, options), { active: active?.key.kid, ring, halves }, options)
  // A key that goes on verifying stays as it is.
  const roles = { ...all, old: all.old.filter(({ kid }) => !halves.has(kid)) }
  assertAble(keys, options)
  const seen = present.seenGenerations?.[ring]
  const lives = lifeIn(roles, { ...options, policy, states, halves, seen })
  const records = lives.map(({ key, ...life }): NewRecord => {
    const facts = { kid: key.kid, ring, algorithm: policy.algorithm, ...life }
    const half = life.verifiesOnly ? publicHalf(key.jwk) : key.jwk
    const shown =
      publishedCertificates(key.certificates, options) ?? present.certificates?.get(key.kid)
    return { facts, jwk: { ...half, ...shown } }
  })
  const events: KeyEvent[] = []
  const order = { ring, at: now, actor, reason }
  const completed = lives.map(({ key: { kid } }) => kid).filter((kid) => halves.has(kid))
  for (const kid of completed) {
    // Tokens that it signed elsewhere need it until then, however soon it retires here.
    const until = (halves.get(kid)?.unpublishAt ?? now) - policy.clockSkew
    if (until > now)
      events.push(keyEvent({ type: 'valid-until', kid, validUntil: until, ...order }))
  }
  const { signer } = roles
  if (active && signer) {
    // Recorded, so that the key that is overtaken stays for those nodes that do not know of it yet.
    events.push(keyEvent({ type: 'promote', kid: signer.kid, activatesAt: now, ...order }))
  }
  return { records, events, completed }
}

/** Two keys cannot sign in one ring: which of them does is an operator's to say. @throws Refused */
function decided(
  roles: ReturnType<typeof rolesOf>,
  { active, ring, halves }: { active: string | undefined; ring: RingName; halves: Halves },
  { signer, as, policies, now }: AdoptOptions,
) {
  if (active === undefined || !roles.signer || signer === 'imported') return roles
  const { kid } = roles.signer
  const since = publishedSince(halves.get(kid))
  if (as === 'active' && since !== undefined) {
    assertKnown({ kid, since, now, propagation: policies.policyFor(ring).propagation })
    return roles
  }
  if (as === 'active') {
    throw new Refused(
      'key_unseen',
      { kid, ring },
      `Key ${kid} cannot sign at once: relying parties have never seen it here, and ring ${ring} signs with ` +
        `${active}.`,
    )
  }
  if (signer === 'present') {
    return { signer: undefined, next: [], old: [...roles.old, roles.signer, ...roles.next] }
  }
  throw new Refused(
    'signer_undecided',
    { ring, present: active, imported: kid },
    `Ring ${ring} signs with ${active} already, and the old system signs with ${kid}. One of them signs on; the ` +
      'other stays published as long as retention asks.',
  )
}
