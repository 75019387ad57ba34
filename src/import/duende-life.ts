import { TICKS_PER_DAY, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'
import type { ImportedKey, PhaseHint } from './imported-key.ts'
import { refusal } from './refusal.ts'

/**
 * The life of keys in Duende IdentityServer, which follows from one stored instant and the options.
 * The rules were measured, not read from the documentation: the signer is the oldest key that has
 * not reached the rotation interval; the propagation time only determines when a successor is made.
 */

/** Options of IdentityServer in seconds, by their names in `KeyManagementOptions`. */
export interface DuendeOptions {
  readonly propagation: number
  readonly rotation: number
  readonly retention: number
  /**
   * Configured algorithms; keys of others are not published. Undefined: all algorithms of the keys.
   */
  readonly algorithms?: readonly DuendeAlgorithm[] | undefined
}

export interface DuendeAlgorithm {
  readonly name: string
  /** True if only keys with an X.509 certificate may sign. */
  readonly useX509Certificate?: boolean
}

/**
 * Checks options of IdentityServer that somebody gives, because under wrong ones keys would change
 * their phase.
 * @throws ImportRefused `times_contradictory`
 */
export function assertTimes({ propagation, rotation }: Partial<DuendeOptions>): void {
  if (propagation === undefined || rotation === undefined || rotation > propagation) return
  throw refusal(
    'times_contradictory',
    `RotationInterval (${rotation} s) must be longer than PropagationTime (${propagation} s), or IdentityServer does ` +
      'not start. Give the values of its configuration.',
  )
}

/** Defaults of IdentityServer. */
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
 * Largest difference by which a clock may be ahead. A key that is dated later lives as if it had
 * been made then, because a wrong date would otherwise let it sign for years, and no record can
 * have an instant after the year 9999.
 */
const AHEAD: Ticks = TICKS_PER_DAY

/** The instant 1970-01-01T00:00:00Z in ticks. */
const EPOCH: Ticks = 719_162n * TICKS_PER_DAY

/**
 * Dates and phase of each key at an instant. Seconds are rounded so that no key signs or leaves
 * earlier than with IdentityServer.
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
      // A key signs one tick after the key before it has reached its rotation interval, or at once
      // if it was made later than that.
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

/** True if a key has left the JWKS, so that it is of no use any more. */
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
