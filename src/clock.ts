import { setTimeout as delay } from 'node:timers/promises'

/**
 * The only reader of time. Instants are whole seconds since the epoch, like `iat` and `exp`
 * (RFC 7519, section 2); no instant elsewhere is in milliseconds.
 */
export interface Clock {
  /** Wall-clock time, in whole seconds since the epoch. May jump when somebody sets the clock. */
  now(): number
  /** Wall-clock time with fraction, to compare clocks and to sleep until an instant. */
  exact(): number
  /**
   * Seconds since an arbitrary start, with fraction. Never jumps; only differences are meaningful.
   */
  elapsed(): number
  /** Resolves after `seconds`, or as soon as `signal` is aborted. Never rejects. */
  sleep(seconds: number, signal: AbortSignal): Promise<void>
}

/** setTimeout takes a signed 32-bit number of milliseconds; a longer sleep would end at once. */
const LONGEST_SLEEP = Math.floor((2 ** 31 - 1) / 1000)

export const systemClock: Clock = {
  now: () => Math.floor(Date.now() / 1000),
  exact: () => Date.now() / 1000,
  elapsed: () => performance.now() / 1000,
  sleep: (seconds, signal) =>
    delay(Math.min(seconds, LONGEST_SLEEP) * 1000, undefined, { signal }).catch(() => {}),
}

/** An instant as RFC 3339 text in UTC, for people and for JSON. */
export function toRfc3339(at: number): string {
  return new Date(at * 1000).toISOString().replace('.000Z', 'Z')
}
