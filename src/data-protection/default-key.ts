import { TICKS_PER_HOUR, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'

/**
 * Which key ASP.NET Core 10 protects with (`DefaultKeyResolver`). All instants are compared to the tick.
 */

export interface KeyFacts {
  readonly id: string
  readonly createdAt: Ticks
  readonly activatesAt: Ticks
  readonly expiresAt: Ticks
  readonly revoked: boolean
  /** Whether its secret and algorithms can be used; asked only where it matters. */
  readonly isUsable: () => boolean
}

/** The words of ASP.NET Core: ids, or null. */
export interface DefaultKey {
  readonly key: string | null
  /** Used by a process that makes no keys, where there is no default key. */
  readonly fallback: string | null
  /** A process that makes keys makes one now. */
  readonly shouldGenerate: boolean
}

/** Clocks of two servers may differ so much. */
const SERVER_SKEW: Ticks = 300n * TICKS_PER_SECOND
/** After so long each process has read a new key. */
export const PROPAGATION: Ticks = 48n * TICKS_PER_HOUR

/** @param keys in the order of the store, which decides between fallbacks of the same age */
export function resolveDefaultKey(keys: readonly KeyFacts[], now: Ticks): DefaultKey {
  const candidate = candidateKey(keys, now)
  if (candidate && !candidate.revoked && candidate.expiresAt > now && candidate.isUsable()) {
    return { key: candidate.id, fallback: null, shouldGenerate: false }
  }
  const fallback = fallbackKey(keys, { now, candidate })
  return { key: null, fallback: fallback?.id ?? null, shouldGenerate: true }
}

/** The next instant at which {@link resolveDefaultKey} may answer otherwise; undefined where none is ahead. */
export function nextChangeAt(keys: readonly KeyFacts[], now: Ticks): Ticks | undefined {
  return keys
    .flatMap((key) => [key.activatesAt - SERVER_SKEW, key.expiresAt, key.createdAt + PROPAGATION])
    .reduce<Ticks | undefined>(
      (next, at) => (at > now && (next === undefined || at < next) ? at : next),
      undefined,
    )
}

/** The one key that is asked: if it will not do, no other takes its place. */
export function candidateKey(keys: readonly KeyFacts[], now: Ticks): KeyFacts | undefined {
  return keys
    .filter((key) => key.activatesAt <= now + SERVER_SKEW)
    .reduce<KeyFacts | undefined>(
      (best, key) => (best && isBefore(best, key) ? best : key),
      undefined,
    )
}

/** The later activation wins, then the lower id. */
function isBefore(one: KeyFacts, other: KeyFacts): boolean {
  if (one.activatesAt !== other.activatesAt) return one.activatesAt > other.activatesAt
  return one.id <= other.id
}

function fallbackKey(
  keys: readonly KeyFacts[],
  { now, candidate }: { readonly now: Ticks; readonly candidate: KeyFacts | undefined },
): KeyFacts | undefined {
  const known = now - PROPAGATION
  const old = keys.filter((key) => key.createdAt <= known && key !== candidate)
  const young = keys.filter((key) => key.createdAt > known)
  const inOrder = [
    ...old.toSorted((a, b) => compare(b.createdAt, a.createdAt)),
    ...young.toSorted((a, b) => compare(a.createdAt, b.createdAt)),
  ]
  return inOrder.find((key) => !key.revoked && key.isUsable())
}

function compare(a: Ticks, b: Ticks): number {
  return a < b ? -1 : Number(a > b)
}
