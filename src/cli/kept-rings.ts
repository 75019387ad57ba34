import { toRfc3339 } from '../clock.ts'
import { KEPT_RINGS } from '../data-protection/kept-ring.ts'
import type { KeptKeyState, KeptRingChange } from '../data-protection/key-states.ts'
import type { KeptRevocation, KeptRings, ShownKeptRing } from '../data-protection/operate.ts'
import { NotFound } from '../errors.ts'
import { findKid } from '../ring/orders.ts'
import { plainCell } from '../values/steering.ts'
import { reasonOf } from './context.ts'
import type { Session } from './session.ts'
import { pairs } from './table.ts'
import { fromNow, instant, instantOrNull, span } from './words.ts'

/** Kept rings of ASP.NET Core in the commands about keys. */

/** Reads all kept rings and warns about their problems. */
export async function showKeptRings(session: Session): Promise<KeptRings> {
  const { rings } = session.config.dataProtection
  if (rings.length === 0) return { rings: [], failures: [] }
  // What reads XML is slow to import, and most configurations name no such ring.
  const { readKeptRings } = await import('../data-protection/operate.ts')
  const found = await readKeptRings(rings, session.now)
  for (const { ring, certificateFailure, problems } of found.rings) {
    if (certificateFailure) {
      session.warn(`${ring}: ${certificateFailure.message} Its keys are shown all the same.`)
    }
    const told = problems.filter(
      ({ code }) => !certificateFailure || code !== 'certificate_missing',
    )
    for (const { source, message } of told)
      session.warn(plainCell(`${ring}, ${source}: ${message}`))
  }
  for (const { ring, error } of found.failures) session.warn(`${ring}: ${reasonOf(error, session)}`)
  return found
}

/** True for the name of a kept ring. */
export function isKeptRing(ring: string): boolean {
  return ring.startsWith(KEPT_RINGS)
}

/** A key of a kept ring. */
export interface FoundKeptKey {
  readonly shown: ShownKeptRing
  readonly key: KeptKeyState
}

/**
 * Finds a key of a kept ring by its id or a unique beginning of it.
 * @param kids of all other rings, which may have the same beginning
 * @returns undefined if no key of a kept ring has that beginning
 * @throws NotFound if several keys have that beginning
 */
export async function findKeptKey(
  named: string,
  kids: readonly string[],
  session: Session,
): Promise<FoundKeptKey | undefined> {
  // Ids are GUIDs, so the rings need not be read for other text.
  if (!/^[\da-f][\da-f-]*(\.{3}|…)?$/i.test(named) || kids.includes(named)) return undefined
  const { rings } = await showKeptRings(session)
  const all = rings.flatMap((shown) => shown.keys.map((key) => ({ shown, key })))
  const ids = all.map(({ key }) => key.id)
  try {
    const id = findKid(named.toLowerCase(), [...kids, ...ids])
    return all.find(({ key }) => key.id === id)
  } catch (error) {
    // The caller searches the other rings and reports a missing key.
    if (error instanceof NotFound && error.code === 'key_not_found') return undefined
    throw error
  }
}

/** The fields of `keys list --json`; those that keys of kept rings lack are null. */
export function keptKeyRow({ ring }: Pick<ShownKeptRing, 'ring'>, key: KeptKeyState) {
  return {
    ring,
    generation: null,
    kid: key.id,
    algorithm: null,
    phase: key.phase,
    createdAt: toRfc3339(key.createdAt),
    activatesAt: toRfc3339(key.activatesAt),
    retiresAt: instantOrNull(key.retiresAt),
    unpublishAt: null,
    expiresAt: toRfc3339(key.expiresAt),
    protectedBy: key.protectedBy,
    issuer: null,
  }
}

/** The next change of a key, with its instant. */
export function keptNextWords({ phase, ...key }: KeptKeyState, now: number): string {
  switch (phase) {
    case 'pre-active':
      return `protects from ${instant(key.activatesAt, now)}`
    case 'active':
      return `protects until ${instant(key.retiresAt ?? key.expiresAt, now)}`
    case 'retired':
      return `only opens payloads; ends ${instant(key.expiresAt, now)}`
    case 'archived':
      return 'only opens payloads'
    case 'revoked':
      return 'opens nothing'
  }
}

export function keptKeyText(
  { ring, settings }: ShownKeptRing,
  key: KeptKeyState,
  now: number,
): string {
  return pairs([
    ['Key', key.id],
    ['Ring', ring],
    ['Application', settings.applicationName ?? null],
    ['Phase', key.phase],
    ['Created', instant(key.createdAt, now)],
    ['Active', instant(key.activatesAt, now)],
    ['Retires', key.retiresAt === null ? null : instant(key.retiresAt, now)],
    ['Expires', instant(key.expiresAt, now)],
    ['Secret under', key.protectedBy ?? 'nothing: the secret is stored in clear'],
    ['Next', keptNextWords(key, now)],
  ])
}

export function keptChangeRow(ring: string, { at, type, id, ...change }: KeptRingChange) {
  const reason = reasonOfChange({ at, type, id, ...change })
  return {
    at: toRfc3339(at),
    ring,
    generation: null,
    kid: id,
    change: type,
    reason,
    readers: null,
  }
}

const VERBS: Readonly<Record<KeptRingChange['type'], string>> = {
  create: 'is made',
  activate: 'becomes the default key',
  retire: 'no longer protects',
}

/** The changes of one ring, by instant. */
export function keptRingPlan(
  ring: string,
  changes: readonly KeptRingChange[],
  now: number,
): string {
  const lines = [...new Set(changes.map(({ at }) => at))].flatMap((at) => [
    `  ${at === now ? 'now' : instant(at, now)}`,
    ...changes
      .filter((change) => change.at === at)
      .map(
        (change) =>
          `    ${change.id === null ? 'a new key' : `key ${change.id.slice(0, 8)}...`} ` +
          `${VERBS[change.type]}: ${reasonOfChange(change)}`,
      ),
  ])
  return [ring, ...(lines.length > 0 ? lines : ['  nothing'])].join('\n')
}

function reasonOfChange({ type, at, activatesAt }: KeptRingChange): string {
  switch (type) {
    case 'create': {
      const starts = activatesAt ?? at
      return starts > at
        ? `the ring needs it in ${span(starts - at)}, from ${toRfc3339(starts)}`
        : 'the ring has no default key'
    }
    case 'activate':
      return 'processes use it from 5 min before its activation date, because clocks may differ'
    case 'retire':
      return 'a successor takes over, or its end has come; it still opens payloads'
  }
}

/** Warnings of `keys plan` about a ring. */
export function keptRingWarnings(
  { ring, forecast }: ShownKeptRing,
  now: number,
): readonly string[] {
  const { blocked, late, endsAt } = forecast({ until: now, steps: 1 })
  if (!blocked && !late) return []
  const why = blocked ? ` A key is due and cannot be made: ${BLOCKED[blocked]}.` : ''
  const when = endsAt > now ? `stand still at ${instant(endsAt, now)}` : 'stand still now'
  return [`${ring}: without a new key all its applications ${when}.${why}`]
}

const BLOCKED = {
  elements_unreadable: 'elements of the ring cannot be read',
  revoked_in_the_future: 'a revocation of all keys is dated in the future',
} as const

/**
 * The fields of `keys events --json`. Elements of ASP.NET Core name the actor only in the reason.
 */
export function keptEventRow({ ring, kid, createdBefore, at, reason }: KeptRevocation) {
  return {
    at: instantOrNull(at),
    ring,
    type: createdBefore === null ? 'revoke' : 'revoke-before',
    kid,
    createdBefore: createdBefore === null ? undefined : toRfc3339(createdBefore),
    reason,
    actor: null,
    id: null,
  }
}

/** A row of the table of `keys events`. */
export function keptEventCells(
  { at, ring, kid, reason, createdBefore }: ReturnType<typeof keptEventRow>,
  now: number,
): readonly string[] {
  const when = at === null ? '-' : `${at} (${fromNow(Date.parse(at) / 1000, now)})`
  const words =
    createdBefore === undefined ? 'revoked' : `all created before ${createdBefore} revoked`
  return [when, ring, kid ?? '-', words, '-', reason]
}

/** The revocations that affect a key. */
export function revocationsOf({ shown, key }: FoundKeptKey): readonly KeptRevocation[] {
  return shown.revocations.filter(
    ({ kid, createdBefore }) =>
      kid === key.id || (createdBefore !== null && key.createdAt < createdBefore),
  )
}
