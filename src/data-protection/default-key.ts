import { TICKS_PER_HOUR, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'

/**
 * The key with which ASP.NET Core 10 protects (`DefaultKeyResolver`). All instants are compared to
 * the tick.
 */

export interface KeyFacts {
  readonly id: string
  readonly createdAt: Ticks
  readonly activatesAt: Ticks
  readonly expiresAt: Ticks
  readonly revoked: boolean
  /** True if the key's secret and algorithms can be used. Called only where the answer matters. */
  readonly isUsable: () => boolean
}

/**
 * Decision about the default key, with the names of ASP.NET Core. Keys are named by id, null for
 * none.
 */
export interface DefaultKey {
  readonly key: string | null
  /** Key for a process that makes no keys, if there is no default key. */
  readonly fallback: string | null
  /** True if a process that makes keys makes one now. */
  readonly shouldGenerate: boolean
}

/** Largest difference between the clocks of two servers. */
const SERVER_SKEW: Ticks = 300n * TICKS_PER_SECOND
/** Time after which each process has read a new key. */
export const PROPAGATION: Ticks = 48n * TICKS_PER_HOUR

/**
 * Decides which key protects.
 * @param keys in the order of the store, which decides between fallbacks of the same age
 */
export function resolveDefaultKey(keys: readonly KeyFacts[], now: Ticks): DefaultKey {
  const candidate = candidateKey(keys, now)
  if (candidate && !candidate.revoked && candidate.expiresAt > now && candidate.isUsable()) {
    return { key: candidate.id, fallback: null, shouldGenerate: false }
  }
  const fallback = fallbackKey(keys, { now, candidate })
  return { key: null, fallback: fallback?.id ?? null, shouldGenerate: true }
}

/**
 * Next instant at which {@link resolveDefaultKey} may answer differently; undefined if there is
 * none.
 */
export function nextChangeAt(keys: readonly KeyFacts[], now: Ticks): Ticks | undefined {
  return keys
    .flatMap((key) => [key.activatesAt - SERVER_SKEW, key.expiresAt, key.createdAt + PROPAGATION])
    .reduce<Ticks | undefined>(
      (next, at) => (at > now && (next === undefined || at < next) ? at : next),
      undefined,
    )
}

/** Only candidate for the default key: if it is unusable, no other key replaces it. */
export function candidateKey(keys: readonly KeyFacts[], now: Ticks): KeyFacts | undefined {
  return keys
    .filter((key) => key.activatesAt <= now + SERVER_SKEW)
    .reduce<KeyFacts | undefined>(
      (best, key) => (best && isBefore(best, key) ? best : key),
      undefined,
    )
}

/** True if the first key has precedence: the later activation wins, then the lower id. */
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
