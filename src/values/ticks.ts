/**
 * Instants of .NET in units of 100 ns since the first day of year 1 in UTC. Key rings compare them
 * exactly, for which a number of seconds is too coarse.
 */
export type Ticks = bigint

export const TICKS_PER_SECOND = 10_000_000n
export const TICKS_PER_HOUR = 3_600n * TICKS_PER_SECOND
export const TICKS_PER_DAY = 24n * TICKS_PER_HOUR
/** `DateTimeOffset.MaxValue`: the end of year 9999. */
export const LAST_TICK: Ticks = 3_155_378_975_999_999_999n

const TICKS_PER_MILLISECOND = 10_000n
/** 1970, in seconds since year 1. */
const EPOCH_SECONDS = 62_135_596_800n
/** Digits of a fraction in ticks. */
const DIGITS = 7

/**
 * The instant of a `Date`, or of text such as `2026-11-28T14:00:00.1234567Z`.
 * @throws TypeError for other text
 */
export function ticksOf(instant: Date | string): Ticks {
  if (typeof instant === 'string') {
    const read = readXsdDate(instant)
    if ('problem' in read) throw new TypeError(`${instant} is no instant: ${read.problem}`)
    return read.ticks
  }
  const milliseconds = instant.getTime()
  if (Number.isNaN(milliseconds)) throw new TypeError('The date is invalid')
  return BigInt(milliseconds) * TICKS_PER_MILLISECOND + EPOCH_SECONDS * TICKS_PER_SECOND
}

/** The instant as a `Date`, cut to milliseconds. */
export function dateOf(ticks: Ticks): Date {
  return new Date(Number((ticks - EPOCH_SECONDS * TICKS_PER_SECOND) / TICKS_PER_MILLISECOND))
}

/** Seconds since the epoch, a fraction cut off. */
export function secondsOf(ticks: Ticks): number {
  return Number(ticks / TICKS_PER_SECOND - EPOCH_SECONDS)
}

/** Text in UTC with seven digits, such as `2026-11-28T14:00:00.0000000Z`. */
export function formatTicks(ticks: Ticks): string {
  const second = new Date(Number(ticks / TICKS_PER_SECOND - EPOCH_SECONDS) * 1000)
  const fraction = String(ticks % TICKS_PER_SECOND).padStart(DIGITS, '0')
  return `${second.toISOString().slice(0, 19)}.${fraction}Z`
}

/** Text as .NET writes it into a ring, without zeros at the end of the fraction. */
export function formatXsdDate(ticks: Ticks): string {
  return formatTicks(ticks).replace(/\.?0*Z$/, 'Z')
}

export type ReadDate =
  /** `isZoned`: false if the text names no time zone, so that each machine assumes its own. */
  | { readonly ticks: Ticks; readonly isZoned: boolean }
  /** Problem in words that end the sentence "... is no date: ...". */
  | { readonly problem: string }

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(Z|z|[+-]\d\d:\d\d)?$/

/**
 * Reads a date of XML Schema as .NET does (`XmlConvert.ToDateTimeOffset`): with an offset up to 14
 * h, which may be missing; a fraction beyond seven digits is rounded half to even.
 */
export function readXsdDate(text: string): ReadDate {
  const match = DATE.exec(text.trim())
  if (!match) return { problem: 'it must look like 2026-11-28T14:00:00.1234567Z' }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  const midnight = new Date(0).setUTCFullYear(year, month - 1, day)
  const isDay = new Date(midnight).getUTCMonth() === month - 1 && month >= 1 && day >= 1
  if (year === 0 || !isDay) return { problem: 'there is no such day' }
  if (hour > 23 || minute > 59 || second > 59) return { problem: 'there is no such time of day' }
  const offset = readOffset(match[8])
  if (offset === undefined) return { problem: 'an offset is at most 14:00' }

  const ofDay = (hour * 60 + minute) * 60 + second
  const local = new Date(0)
  local.setFullYear(year, month - 1, day)
  local.setHours(hour, minute, second, 0)
  const unixSeconds =
    offset === 'local' ? local.getTime() / 1000 : midnight / 1000 + ofDay - offset * 60
  const ticks =
    (BigInt(unixSeconds) + EPOCH_SECONDS) * TICKS_PER_SECOND + readFraction(match[7] ?? '')
  if (ticks < 0n || ticks > LAST_TICK) return { problem: 'in UTC its year is not 1 to 9999' }
  return { ticks, isZoned: offset !== 'local' }
}

/** The offset in minutes ahead of UTC; undefined if it is invalid. */
function readOffset(zone: string | undefined): number | 'local' | undefined {
  if (zone === undefined) return 'local'
  if (zone === 'Z' || zone === 'z') return 0
  const [hours = 0, minutes = 0] = zone.slice(1).split(':').map(Number)
  if (minutes > 59 || hours * 60 + minutes > 14 * 60) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}

function readFraction(digits: string): bigint {
  const kept = BigInt(digits.slice(0, DIGITS).padEnd(DIGITS, '0'))
  const rest = digits.slice(DIGITS)
  if (rest < '5') return kept
  // Zeros are not cut off at the end, which would take hours where there are a million.
  return /^50*$/.test(rest) ? kept + (kept & 1n) : kept + 1n
}
