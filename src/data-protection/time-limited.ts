import { formatTicks, LAST_TICK, ticksOf } from '../values/ticks.ts'
import { PayloadRefused } from './errors.ts'

/**
 * Payloads that expire: the instant in units of 100 ns precedes the data, under one more purpose.
 */

export interface TimeLimitedProtector {
  createProtector(...purposes: string[]): TimeLimitedProtector
  /**
   * Protects bytes until an instant.
   * @param expiration last instant at which the payload opens, as a `Date` or as text with up to
   * seven digits of a second. Default: never expires.
   * @throws NoDefaultKey
   */
  protect(data: Uint8Array, expiration?: Date | string): Buffer
  /**
   * Opens a payload.
   * @throws PayloadRefused `payload_expired`, and for the reasons of a payload without expiry
   */
  unprotect(payload: Uint8Array): Buffer
  /**
   * Opens a payload and tells its expiry, such as `2126-01-02T03:04:05.0000007Z`; null if it has
   * none.
   * @throws PayloadRefused as `unprotect`
   */
  unprotectWithExpiration(payload: Uint8Array): {
    readonly data: Buffer
    readonly expiration: string | null
  }
}

/** Methods that are needed of a protector whose payloads do not expire. */
interface Endless {
  createProtector(...purposes: string[]): Endless
  protect(data: Uint8Array): Buffer
  unprotect(payload: Uint8Array): Buffer
}

const PURPOSE = 'Microsoft.AspNetCore.DataProtection.TimeLimitedDataProtector.v1'
const INSTANT_BYTES = 8

export function createTimeLimited(protector: Endless, now: () => Date): TimeLimitedProtector {
  const inner = protector.createProtector(PURPOSE)
  const timeLimited: TimeLimitedProtector = {
    createProtector: (...purposes) =>
      createTimeLimited(protector.createProtector(...purposes), now),
    protect: (data, expiration) => {
      const instant = Buffer.alloc(INSTANT_BYTES)
      instant.writeBigUInt64BE(expiration === undefined ? LAST_TICK : ticksOf(expiration))
      return inner.protect(Buffer.concat([instant, data]))
    },
    unprotect: (payload) => timeLimited.unprotectWithExpiration(payload).data,
    unprotectWithExpiration: (payload) => {
      const opened = inner.unprotect(payload)
      const end = opened.length < INSTANT_BYTES ? LAST_TICK + 1n : opened.readBigUInt64BE()
      if (end > LAST_TICK)
        throw new PayloadRefused('payload_invalid', 'The payload has no end in it.')
      if (end < ticksOf(now())) {
        throw new PayloadRefused('payload_expired', `The payload ended at ${formatTicks(end)}.`)
      }
      const expiration = end === LAST_TICK ? null : formatTicks(end)
      return { data: opened.subarray(INSTANT_BYTES), expiration }
    },
  }
  return timeLimited
}
