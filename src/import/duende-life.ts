import { TICKS_PER_DAY, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'
import type { ImportedKey, PhaseHint } from './imported-key.ts'

/**
 * The life of keys in Duende IdentityServer, which follows from one stored instant and its options. It was
 * measured, not read from its documentation: the signer is the oldest key that has not reached the rotation
 * interval; the propagation time says only when a successor is made.
 */

/** Seconds, by their names in `KeyManagementOptions`. */
export interface DuendeOptions {
  readonly propagation: number
  readonly rotation: number
  readonly retention: number
  /** Those that are configured; others it does not publish. Undefined: all that are found. */
  readonly algorithms?: readonly DuendeAlgorithm[] | undefined
}

export interface DuendeAlgorithm {
  readonly name: string
  /** Only wrapped keys may sign. */
  readonly useX509Certificate?: boolean
}

/** What IdentityServer does where nothing is configured. */
export const DUENDE_DEFAULTS = {
  propagation: 14 * 86_400,
  rotation: 90 * 86_400,
  retention: 14 * 86_400,
} as const satisfies DuendeOptions

export interface Aged {
  readonly kid: string
  readonly algorithm: string
  readonly createdAt: Ticks
  readonly storedAt: Ticks
  readonly isX509: boolean
}

export type Life = Required<
  Pick<ImportedKey, 'createdAt' | 'activatesAt' | 'retiresAt' | 'expiresAt' | 'phaseHint'>
>

/**
 * A clock may be ahead. A key that is dated further in the future lives as if it had been made then, else a wrong date would
 * let it sign for years, and no record can have an instant after the year 9999.
 */
const AHEAD: Ticks = TICKS_PER_DAY

/** 1970, in ticks. */
const EPOCH: Ticks = 719_162n * TICKS_PER_DAY

/**
 * What each key does at an instant, and when that changes. Seconds are rounded so that no key signs
 * earlier or leaves earlier than at IdentityServer.
 * @param now seconds since the epoch
 */
export function livesOf(
  keys: readonly Aged[],
  options: DuendeOptions,
  now: number,
): Map<string, Life> {
  const at = BigInt(now) * TICKS_PER_SECOND + EPOCH
  const rotation = BigInt(options.rotation) * TICKS_PER_SECOND
  const retention = BigInt(options.retention) * TICKS_PER_SECOND
  const lives = new Map<string, Life>()
  const inOrder = keys.toSorted((a, b) => Number(a.createdAt - b.createdAt))
  const aged = inOrder.map((key) => ({
    ...key,
    createdAt: min(key.createdAt, at + AHEAD),
    storedAt: min(key.storedAt, at + AHEAD),
  }))
  for (const group of Map.groupBy(aged, ({ algorithm }) => algorithm).values()) {
    const signers = group.filter((key) => maySign(key, options))
    const active = signers.find(({ createdAt }) => at <= createdAt + rotation)
    for (const key of group) {
      const before = signers[signers.indexOf(key) - 1]
      // One tick after the key before has reached its rotation interval, or at once after a quiet time.
      const turn = before ? max(before.createdAt + rotation + 1n, key.createdAt) : key.createdAt
      const leaves = key.storedAt + rotation + retention
      lives.set(key.kid, {
        createdAt: Number((key.createdAt - EPOCH) / TICKS_PER_SECOND),
        activatesAt: secondsUp(turn),
        retiresAt: secondsUp(max(key.createdAt + rotation + 1n, turn)),
        expiresAt: secondsUp(leaves),
        phaseHint: phaseOf(key, {
          active,
          at,
          leaves,
          isSigner: signers.includes(key),
          rotation,
          options,
        }),
      })
    }
  }
  return lives
}

/** Has a key left the JWKS, so that it is of no use any more? */
export function hasLeft(
  { storedAt }: Pick<Aged, 'storedAt'>,
  { rotation, retention }: Pick<DuendeOptions, 'rotation' | 'retention'>,
  now: number,
): boolean {
  return (
    BigInt(now) * TICKS_PER_SECOND + EPOCH >=
    storedAt + BigInt(rotation + retention) * TICKS_PER_SECOND
  )
}

function phaseOf(
  key: Aged,
  {
    active,
    at,
    leaves,
    isSigner,
    rotation,
    options,
  }: {
    active: Aged | undefined
    at: Ticks
    leaves: Ticks
    isSigner: boolean
    rotation: Ticks
    options: DuendeOptions
  },
): PhaseHint {
  const { algorithms } = options
  const configured = !algorithms || algorithms.some(({ name }) => name === key.algorithm)
  if (at >= leaves || !configured) return 'disabled'
  if (key === active) return 'active'
  return isSigner && at <= key.createdAt + rotation ? 'next' : 'old'
}

function maySign({ algorithm, isX509 }: Aged, { algorithms }: DuendeOptions): boolean {
  const entry = algorithms?.find(({ name }) => name === algorithm)
  return isX509 || !entry?.useX509Certificate
}

function secondsUp(ticks: Ticks): number {
  return Number((ticks - EPOCH + TICKS_PER_SECOND - 1n) / TICKS_PER_SECOND)
}

function min(one: Ticks, other: Ticks): Ticks {
  return one < other ? one : other
}

function max(one: Ticks, other: Ticks): Ticks {
  return one > other ? one : other
}
