/** Instants as people write them: RFC 3339, section 5.6, with the restrictions of section 5.7. */

export type ReadInstant =
  /** Seconds since the epoch, a fraction cut off. */
  | { readonly at: number }
  /** Problem in words that end the sentence "... is no instant: ...". */
  | { readonly problem: string }

const DATE = /^(\d{4})-(\d\d)-(\d\d)(.*)$/s
const TIME = /^[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?(.*)$/s
const OFFSET = /^(?:[Zz]|([+-])(\d\d):(\d\d))$/

const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September'],
  ...['October', 'November', 'December'],
]
const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400

/**
 * Reads text such as `2026-11-22T10:00:00Z`. Unlike `Date.parse` it refuses dates such as 30
 * February and the hour 24, and demands the offset from UTC. A leap second (section 5.7) is the
 * first second of the next day, because seconds since the epoch do not count it (POSIX).
 * @example readRfc3339('2026-02-30T00:00:00Z') // { problem: 'February 2026 has 28 days' }
 */
export function readRfc3339(text: string): ReadInstant {
  const date = DATE.exec(text)
  if (!date) return { problem: 'it must begin with a date such as 2026-11-22' }
  const [year = 0, month = 0, day = 0] = date.slice(1, 4).map(Number)
  const dateProblem = problemOfDate(year, month, day)
  if (dateProblem) return { problem: dateProblem }

  const time = TIME.exec(date[4] ?? '')
  if (!time) return { problem: 'a time such as T10:00:00Z must follow the date' }
  const [hour = 0, minute = 0, second = 0] = time.slice(1, 4).map(Number)
  if (hour > 23) return { problem: `there is no hour ${time[1]}; hours are 00 to 23` }
  if (minute > 59) return { problem: `there is no minute ${time[2]}; minutes are 00 to 59` }
  if (second > 60) return { problem: `there is no second ${time[3]}; seconds are 00 to 59` }

  const zone = time[5] ?? ''
  const offset = OFFSET.exec(zone)
  if (zone === '') return { problem: 'its offset from UTC is missing: end it with Z or +01:00' }
  if (!offset) return { problem: 'it must end with an offset from UTC, Z or such as +01:00' }
  const [offsetHours = 0, offsetMinutes = 0] = [offset[2], offset[3]].map((part) =>
    Number(part ?? 0),
  )
  if (offsetHours > 23 || offsetMinutes > 59) {
    return { problem: `there is no offset ${zone}; offsets are -23:59 to +23:59` }
  }
  const ahead = (offset[1] === '-' ? -1 : 1) * (offsetHours * HOUR + offsetMinutes * MINUTE)
  const at = startOfDay(year, month, day) + hour * HOUR + minute * MINUTE + second - ahead
  if (second === 60 && !isAfterLeapSecond(at)) {
    return { problem: 'a second 60 there is only at 23:59 UTC on 30 June and 31 December' }
  }
  if (at < startOfDay(0, 1, 1) || at >= startOfDay(10_000, 1, 1)) {
    return { problem: 'in UTC its year is not one of 0000 to 9999' }
  }
  return { at }
}

function problemOfDate(year: number, month: number, day: number): string | undefined {
  const name = MONTHS[month - 1]
  if (!name) return `there is no month ${String(month).padStart(2, '0')}; months are 01 to 12`
  const next = month === 12 ? startOfDay(year + 1, 1, 1) : startOfDay(year, month + 1, 1)
  const length = (next - startOfDay(year, month, 1)) / DAY
  if (day < 1) return 'there is no day 00; days begin with 01'
  return day > length ? `${name} ${String(year).padStart(4, '0')} has ${length} days` : undefined
}

/** Does not use `Date.UTC`, which takes the years 0 to 99 for those of the last century. */
function startOfDay(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month - 1, day) / 1000
}

/** Leap seconds end a June or a December (RFC 3339, appendix D). */
function isAfterLeapSecond(at: number): boolean {
  const next = new Date(at * 1000)
  return at % DAY === 0 && next.getUTCDate() === 1 && [0, 6].includes(next.getUTCMonth())
}
