import ms, { type StringValue } from 'ms'
import { formatDuration } from './duration-text.ts'

/**
 * Durations are text such as `90d` in config files and on the command line, and whole seconds
 * everywhere else. Only this file converts between them.
 */

/**
 * Stricter than `ms`: no fractions, signs, spaces or bare numbers, so that nothing is ambiguous.
 */
export const DURATION_PATTERN = '(0|[1-9][0-9]{0,8})[smhdw]'
const DURATION = new RegExp(`^${DURATION_PATTERN}$`)

/** 100 years, so that sums of durations and instants stay far inside the range of RFC 3339 text. */
const LONGEST = 36_500 * 86_400

/** @returns seconds, or NaN if the text is no duration */
export function parseDuration(text: string): number {
  // The pattern has checked what the cast asserts.
  return DURATION.test(text) ? ms(text as StringValue) / 1000 : Number.NaN
}

/**
 * The expected form of a duration, for an error of the command line; undefined if the text is
 * valid.
 */
export function durationProblem(text: string, limits: DurationLimits = {}): string | undefined {
  const { isValid, expected } = durationRule(limits)
  return isValid(text) ? undefined : expected
}

export interface DurationLimits {
  /** Seconds; 1 by default. */
  readonly min?: number
  /** Seconds; 100 years by default. */
  readonly max?: number
}

/** Rule for durations within limits, with the words that say so. */
export function durationRule({ min = 1, max = LONGEST }: DurationLimits) {
  return {
    isValid: (text: string) => parseDuration(text) >= min && parseDuration(text) <= max,
    expected:
      'a whole number and a unit (s, m, h, d or w) such as 90s, ' +
      `from ${formatDuration(min)} to ${formatDuration(max)}`,
  }
}
