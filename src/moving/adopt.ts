import type { JWK } from 'jose'
import { Refused } from '../errors.ts'
import { publicHalf } from '../import/build-key.ts'
import { publishedCertificates } from '../import/certificates.ts'
import type { Imported, ImportedKey } from '../import/imported-key.ts'
import { type KeyEvent, keyEvent, type RingName } from '../ring/key.ts'
import { assertKnown } from '../ring/known.ts'
import { activeKey, isRevocationOf, type RingFacts, ringStates } from '../ring/lifecycle.ts'
import { findState, orderPromotion } from '../ring/orders.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { SealedFacts } from '../ring/ring-key.ts'
import { assertAble, assertNextKnown } from './adopt-able.ts'
import { assertEnd, assertRoom, assertTokensOutlived } from './adopt-bounds.ts'
import { type Halves, lifeIn, publishedSince } from './adopt-life.ts'
import { type LeftKey, leftKey, lossesOf, type Missed } from './adopt-loss.ts'
import { type Present, presenceOf, revokedSince } from './adopt-presence.ts'
import { ringLines, ringOf } from './adopt-ring.ts'
import { type GivenRole, onlyAmong, rolesOf } from './adopt-role.ts'

/**
 * Adoption: keys of another system become facts of rings, so that each goes on as before. The
 * signer goes on signing, the next key follows at its planned instant, and the others verify until
 * they would have left. Pure: the decisions are written by `operate.ts`.
 */

export interface AdoptOptions {
  /** Seconds since the epoch. */
  readonly now: number
  readonly policies: RotationPolicies
  readonly actor: string
  readonly reason: string
  /** kids of keys to sign next, for sources that do not name them. */
  readonly next?: readonly string[] | undefined
  /** Names or kids of keys whose loss is accepted. */
  readonly leave?: readonly string[] | undefined
  /** Key that goes on signing in a ring that has a signer already. */
  readonly signer?: 'imported' | 'present' | undefined
  /** Longest lifetime of tokens of the old system, in seconds. */
  readonly tokenLifetime?: number | undefined
  /** Role of all keys of a file that somebody adds by hand. */
  readonly as?: GivenRole | undefined
  readonly ring?: RingName | undefined
  /** True if the old system publishes `x5t#S256` beside `x5t`. */
  readonly showsSha256?: boolean | undefined
  /** Instant at which a key for validation leaves the JWKS. */
  readonly notAfter?: number | undefined
}

/** A key to seal and store. */
export interface NewRecord {
  readonly facts: SealedFacts
  readonly jwk: JWK
}

export interface Adoption {
  /** Keys that are in a ring after the adoption, including those that were there before. */
  readonly keys: readonly { readonly key: ImportedKey; readonly ring: RingName }[]
  readonly left: readonly LeftKey[]
  /** Keys of `left` that relying parties may need: nothing is written until they are given up. */
  readonly lost: readonly LeftKey[]
  readonly records: {
    readonly keys: readonly NewRecord[]
    readonly events: readonly KeyEvent[]
    /** kids of `keys` that the ring had only to verify, and whose private half is now added. */
    readonly completed: readonly string[]
  }
  /** Facts as they are once everything is written. */
  readonly after: RingFacts
}

/**
 * Decides the place of each key of another system.
 * @throws Refused with the way out: signer_undecided, retention_short, jwks_full, kid_taken, others
 */
export function adopt(imported: Imported, present: Present, options: AdoptOptions): Adoption {
  const { policies, now } = options
  assertNextKnown(imported.keys, options)
  assertEnd(options)
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
    const revoked = revokedSince(imported.keys, ring, present, options)
    const own = new Set([...placed.map(({ key }) => key), ...revoked])
    // The order of the source counts where it names no phases.
    const all = imported.keys.filter((key) => own.has(key))
    const made = intoRing({ fresh, all }, ring, present, options)
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
  const missed = [...left, ...imported.left]
  return {
    keys: coming,
    left: missed.map(leftKey),
    lost: lossesOf(missed, present, options),
    records: { keys: records, events, completed },
    after,
  }
}

/** Lets a key of the ring sign, once relying parties know it; undefined if it signs already. */
function promotion(
  kid: string,
  facts: RingFacts,
  { policies, now, actor, reason }: AdoptOptions,
): KeyEvent | undefined {
  if (findState(facts, policies, kid, now).phase === 'active') return undefined
  return orderPromotion(facts, policies, { kid, force: false, now, actor, reason }).event
}

/** Separates the keys with a ring from those that are left out. */
function sort(keys: readonly ImportedKey[], present: Present, options: AdoptOptions) {
  const left: Missed[] = []
  const coming: { key: ImportedKey; ring: RingName }[] = []
  for (const key of keys) {
    const reason = reasonToStay(key, present, options)
    const ring = reason ? undefined : ringOf(key, options.policies, options.ring)
    if (reason) left.push({ name: key.kid, ...reason, isHarmless: true })
    else if (ring !== undefined) coming.push({ key, ring })
    else left.push({ name: key.kid, ...withoutRing(key, options), isHarmless: false })
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

function withoutRing({ algorithm }: ImportedKey, { ring }: AdoptOptions): Omit<LeftKey, 'name'> {
  if (ring !== undefined) {
    const reason = `It is a key of ${algorithm}, which ring ${ring} does not have, or that ring is not configured.`
    return { code: 'ring_missing', reason }
  }
  const reason =
    `No ring of the configuration signs with ${algorithm}. Relying parties could not verify what it signed. ` +
    `Add beside the rings that are there: ${ringLines(algorithm)}`
  return { code: 'ring_missing', reason }
}

interface IntoRing {
  readonly records: readonly NewRecord[]
  readonly events: readonly KeyEvent[]
  readonly completed: readonly string[]
}

/** Keys of one ring in the source. */
interface Coming {
  readonly fresh: readonly { readonly key: ImportedKey; readonly isHalf: boolean }[]
  /** The fresh ones and those that the ring has already. */
  readonly all: readonly ImportedKey[]
}

/**
 * Makes the facts of the keys that come into one ring. Parts are given to all keys of the source,
 * so that a repeat gives the same and never lets an old key sign in the place of one that is here.
 */
function intoRing(
  { fresh, all }: Coming,
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
  const given = onlyAmong(rolesOf(all, options), keys)
  const chosen = decided(given, { active: active?.key.kid, ring, halves }, options)
  // A key that only verifies, as before, keeps its facts.
  const roles = { ...chosen, old: chosen.old.filter(({ kid }) => !halves.has(kid)) }
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
    // Tokens that the key signed elsewhere need it until then, however soon it retires here.
    const until = (halves.get(kid)?.unpublishAt ?? now) - policy.clockSkew
    if (until > now)
      events.push(keyEvent({ type: 'valid-until', kid, validUntil: until, ...order }))
  }
  const { signer } = roles
  if (active && signer) {
    // The promotion is recorded: nodes that do not know of it still need the key that it replaces.
    events.push(keyEvent({ type: 'promote', kid: signer.kid, activatesAt: now, ...order }))
  }
  return { records, events, completed }
}

/**
 * Decides the signer: of two keys, an operator has to choose the one that signs.
 * @throws Refused
 */
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
