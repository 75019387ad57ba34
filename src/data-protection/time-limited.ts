import { formatTicks, LAST_TICK, ticksOf } from '../values/ticks.ts'
import { PayloadRefused } from './errors.ts'

/** Payloads that end: the instant stands in 100 ns before what they hold, under one more purpose. */

export interface TimeLimitedProtector {
  createProtector(...purposes: string[]): TimeLimitedProtector
  /**
   * @param expiration the last instant at which it opens: a `Date`, or text with up to seven digits of a
   *   second; never, if not told
   * @throws NoDefaultKey
   */
  protect(data: Uint8Array, expiration?: Date | string): Buffer
  /** @throws PayloadRefused `payload_expired` and those of an endless one */
  unprotect(payload: Uint8Array): Buffer
  /** The same with its end, such as `2126-01-02T03:04:05.0000007Z`; null where it has none. */
  unprotectWithExpiration(payload: Uint8Array): {
    readonly data: Buffer
    readonly expiration: string | null
  }
}

/** What is needed of a protector of payloads without end. */
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
