import { InvalidArgumentError } from 'commander'
import { toRfc3339 } from '../clock.ts'
import { durationProblem, parseDuration } from '../values/duration.ts'
import { readRfc3339 } from '../values/rfc3339.ts'
import type { TextRule } from '../values/text.ts'

/** Formats and parses instants, durations and arguments for people. */

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** An instant relative to now. @example fromNow(now + 76 * 86400, now) // 'in 76 days' */
export function fromNow(at: number, now: number): string {
  const seconds = at - now
  if (seconds === 0) return 'now'
  // Two of a unit are needed, because "in 36 hours" is more precise than "in 2 days".
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= 2 * size) ?? ['second', 1]
  return new Intl.RelativeTimeFormat('en').format(Math.round(seconds / size), unit)
}

/** An instant in full. @example instant(at, now) // '2026-02-06T10:00:00Z (in 76 days)' */
export function instant(at: number, now: number): string {
  return `${toRfc3339(at)} (${fromNow(at, now)})`
}

/** An instant for JSON: RFC 3339 text in UTC, or null. */
export function instantOrNull(at: number | null): string | null {
  return at === null ? null : toRfc3339(at)
}

/** A number with its noun. @example counted(2, 'event') // '2 events' */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

const SHORT = { day: 'd', hour: 'h', minute: 'min', second: 's' } as const

/** A duration in its two largest units, rounded up. @example span(45_360) // '12 h 36 min' */
export function span(seconds: number): string {
  const largest = UNITS.findIndex(([, size]) => seconds >= size)
  const [[unit, size], next] = [UNITS[largest] ?? UNITS[3], UNITS[largest + 1]]
  const whole = Math.floor(seconds / size)
  const rest = next ? Math.ceil((seconds - whole * size) / next[1]) : 0
  if (!next || rest === 0) return `${whole} ${SHORT[unit]}`
  if (rest * next[1] === size) return span((whole + 1) * size)
  return `${whole} ${SHORT[unit]} ${rest} ${SHORT[next[0]]}`
}

/** Parses a duration such as `90d` to seconds, for commander. */
export function durationArgument(text: string): number {
  return durationFrom(text, 0)
}

/** Parses a duration that is not 0, for commander. */
export function positiveDurationArgument(text: string): number {
  return durationFrom(text, 1)
}

function durationFrom(text: string, min: number): number {
  const expected = durationProblem(text, { min })
  if (expected !== undefined) throw new InvalidArgumentError(`It must be ${expected}.`)
  return parseDuration(text)
}

/** An instant that an operator named. @param now by the clock of the database, for `12h` ago */
export type NamedInstant = (now: number) => number

/** Parses an instant, or a duration before now, for commander. */
export function instantArgument(text: string): NamedInstant {
  return instantFrom(text, { sign: -1, otherwise: 'a duration ago such as 12h, or now' })
}

/** Parses an instant to come, or a duration from now, for commander. */
export function comingArgument(text: string): NamedInstant {
  return instantFrom(text, { sign: 1, otherwise: 'or a duration from now such as 30d' })
}

/** @param otherwise words for what else than an instant it may be */
function instantFrom(
  text: string,
  { sign, otherwise }: { readonly sign: 1 | -1; readonly otherwise: string },
): NamedInstant {
  if (text === 'now') return (now) => now
  if (durationProblem(text, { min: 0 }) === undefined) {
    return (now) => now + sign * parseDuration(text)
  }
  const read = readRfc3339(text)
  if ('at' in read) return () => read.at
  throw new InvalidArgumentError(
    `It must be an instant such as 2026-11-22T10:00:00Z (RFC 3339), ${otherwise}; as an instant, ${read.problem}.`,
  )
}

/** Checks text by a rule, for commander. */
export function textArgument(rule: TextRule) {
  return (text: string): string => {
    const problem = rule(text)
    if (!problem) return text
    const instead = problem.instead === undefined ? '' : ` Write ${problem.instead} instead.`
    throw new InvalidArgumentError(`It must be ${problem.expected}.${instead}`)
  }
}

/** Parses a whole number from 1 to 999999, for commander. */
export function countArgument(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 999999.')
  }
  return Number(text)
}
