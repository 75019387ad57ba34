import { toRfc3339 } from '../clock.ts'
import { NotFound, Refused } from '../errors.ts'
import { secondsOf } from '../values/ticks.ts'
import type { Certificate } from './encrypted-xml.ts'
import { CertificateUnusable } from './errors.ts'
import { createKeeper, type Revoked } from './keeper.ts'
import { type KeptRing, loadCertificates, ringNameOf, sourceOf } from './kept-ring.ts'
import {
  forecastKeptRing,
  type KeptKeyState,
  type KeptRingForecast,
  keptKeyStates,
} from './key-states.ts'
import { openRingStore } from './open-store.ts'
import { wholePolicy } from './plan.ts'
import type { RingProblem } from './problem.ts'
import { assembleRing, factsOf, isWhole } from './ring.ts'

/** Operations on kept rings: show them, forecast their changes, revoke keys. */

/** A kept ring at one instant. */
export interface ShownKeptRing {
  /** Name of the ring, with `data-protection/`. */
  readonly ring: string
  readonly settings: KeptRing
  /** Keys in the order in which they activate. */
  readonly keys: readonly KeptKeyState[]
  readonly revocations: readonly KeptRevocation[]
  readonly problems: readonly RingProblem[]
  /**
   * Error of the ring's certificates, if they could not be read. Everything that needs no secret is
   * shown nevertheless.
   */
  readonly certificateFailure: CertificateUnusable | undefined
  forecast(options: { readonly until: number; readonly steps: number }): KeptRingForecast
}

/** Revocation of one key, or of all keys that were created before an instant. */
export interface KeptRevocation {
  readonly ring: string
  readonly kid: string | null
  readonly createdBefore: number | null
  /** Date of the revocation; null if the element has none, because nothing depends on it. */
  readonly at: number | null
  readonly reason: string
}

/** Reads a kept ring. @param now seconds since the epoch @throws KeyRingUnreadable */
export async function readKeptRing(settings: KeptRing, now: number): Promise<ShownKeptRing> {
  const { certificates, certificateFailure } = await certificatesIfUsable(settings)
  const store = await openRingStore(sourceOf(settings))
  try {
    const assembled = assembleRing((await store.read()).elements, certificates)
    const ring = ringNameOf(settings)
    const date = new Date(now * 1000)
    const { revokedBefore } = assembled
    const facts = { keys: factsOf(assembled), revokedBefore, isWhole: isWhole(assembled) }
    const usable = new Map(facts.keys.map(({ id, isUsable }) => [id, isUsable]))
    const keys = assembled.keys.map((key) => ({
      ...key,
      isUsable: usable.get(key.id) ?? key.isUsable,
    }))
    return {
      ring,
      settings,
      keys: keptKeyStates(keys, date),
      revocations: assembled.revocations.map(({ id, before, at, reason }) => ({
        ring,
        kid: id ?? null,
        createdBefore: before === undefined ? null : secondsOf(before),
        at: at === undefined ? null : secondsOf(at),
        reason,
      })),
      problems: assembled.problems(),
      certificateFailure,
      forecast: (options) =>
        forecastKeptRing(facts, wholePolicy(settings), { ...options, now: date }),
    }
  } finally {
    await store.close()
  }
}

export interface KeptRings {
  readonly rings: readonly ShownKeptRing[]
  /** Errors of the rings that cannot be read. */
  readonly failures: readonly { readonly ring: string; readonly error: unknown }[]
}

/**
 * Reads all rings, in the order of the configuration. A ring that cannot be read does not hide the
 * others.
 */
export async function readKeptRings(all: readonly KeptRing[], now: number): Promise<KeptRings> {
  const results = await Promise.all(
    all.map((settings) =>
      readKeptRing(settings, now).then(
        (shown) => ({ shown }),
        (error: unknown) => ({ ring: ringNameOf(settings), error }),
      ),
    ),
  )
  return {
    rings: results.flatMap((result) => ('shown' in result ? [result.shown] : [])),
    failures: results.flatMap((result) => ('error' in result ? [result] : [])),
  }
}

/** Keys to revoke: one by its whole id, or all that were created before an instant. */
export type KeptRevocationTarget = { readonly id: string } | { readonly createdBefore: number }

/**
 * Adds a successor if one is needed, and then the revocation.
 * @throws NotFound; Refused `no_successor` and `revocation_in_future`; CertificateUnusable;
 * KeyRingUnreadable, after which the revocation may be done in part: repeat it
 */
export async function revokeInKeptRing(
  settings: KeptRing,
  target: KeptRevocationTarget,
  { reason, actor, now }: { readonly reason: string; readonly actor: string; readonly now: number },
): Promise<Revoked> {
  if ('createdBefore' in target && target.createdBefore > now) {
    const { createdBefore } = target
    const message =
      `${toRfc3339(createdBefore)} is in the future: only keys made so far can be revoked. The latest instant ` +
      `possible is now, ${toRfc3339(now)}.`
    throw new Refused('revocation_in_future', { createdBefore, now }, message)
  }
  const certificates = await loadCertificates(settings)
  const store = await openRingStore(sourceOf(settings))
  const date = new Date(now * 1000)
  const policy = wholePolicy(settings)
  const keeper = createKeeper({ store, certificates, policy, now: () => date })
  const words = `${reason} (${actor})`
  try {
    if ('id' in target) return await keeper.revoke(target.id, words)
    return await keeper.revokeAll(words, new Date(target.createdBefore * 1000))
  } finally {
    await keeper.close()
  }
}

/**
 * Finds a kept ring in the configuration.
 * @param ring name with `data-protection/`
 * @throws NotFound
 */
export function findKeptRing(ring: string, all: readonly KeptRing[]): KeptRing {
  const found = all.find((settings) => ringNameOf(settings) === ring)
  if (found) return found
  const configured = all.map(ringNameOf)
  const list = configured.length > 0 ? configured.join(', ') : 'none'
  const message = `There is no ring ${ring}. Kept rings of the configuration (dataProtection.rings): ${list}.`
  throw new NotFound('ring_not_found', { ring, configured }, message)
}

/**
 * Loads the certificates if possible, because somebody who only looks may lack the servers'
 * certificates.
 */
async function certificatesIfUsable(settings: KeptRing): Promise<{
  readonly certificates: readonly Certificate[]
  readonly certificateFailure: CertificateUnusable | undefined
}> {
  try {
    return { certificates: await loadCertificates(settings), certificateFailure: undefined }
  } catch (error) {
    if (!(error instanceof CertificateUnusable)) throw error
    return { certificates: [], certificateFailure: error }
  }
}
