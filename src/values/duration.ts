import ms, { type StringValue } from 'ms'
import { z } from 'zod'
import { formatDuration } from './duration-text.ts'

/**
 * Durations: text such as `90d` in config files, whole seconds everywhere else. This is the one
 * place that turns one into the other.
 */

/** Stricter than `ms`: no fractions, signs, spaces or bare numbers, so that nothing is ambiguous. */
const PATTERN = '(0|[1-9][0-9]{0,8})[smhdw]'
const DURATION = new RegExp(`^${PATTERN}$`)

/** 100 years. Sums of durations and instants then stay far inside what RFC 3339 text can show. */
const LONGEST = 36_500 * 86_400

/** @returns seconds, or NaN where the text is no duration */
export function parseDuration(text: string): number {
  // The cast says what the pattern has checked.
  return DURATION.test(text) ? ms(text as StringValue) / 1000 : Number.NaN
}

/** What a duration on the command line must be; undefined where the text is one. */
export function durationProblem(text: string, limits: DurationLimits = {}): string | undefined {
  const { isValid, expected } = rule(limits)
  return isValid(text) ? undefined : expected
}

export interface DurationLimits {
  /** Seconds; 1 unless told. */
  readonly min?: number
  /** Seconds; 100 years unless told. */
  readonly max?: number
}

/** A setting that is text in files and seconds in the resolved configuration. */
export function duration(limits: DurationLimits = {}) {
  const { isValid, expected } = rule(limits)
  const text = z.string({ error: expected }).refine(isValid, { error: expected })
  return z.codec(text.meta({ pattern: `^${PATTERN}$` }), z.int(), {
    decode: parseDuration,
    encode: formatDuration,
  })
}

/** Like `duration`, or the word `auto`: worked out from other settings. */
export function durationOrAuto(limits: DurationLimits = {}) {
  const { isValid, expected } = rule(limits)
  const text = z
    .string({ error: `auto, or ${expected}` })
    .refine((value) => value === 'auto' || isValid(value), { error: `auto, or ${expected}` })
  return z.codec(
    text.meta({ pattern: `^(auto|${PATTERN})$` }),
    z.union([z.literal('auto'), z.int()]),
    {
      decode: (value) => (value === 'auto' ? value : parseDuration(value)),
      encode: (value) => (value === 'auto' ? value : formatDuration(value)),
    },
  )
}

function rule({ min = 1, max = LONGEST }: DurationLimits) {
  return {
    isValid: (text: string) => parseDuration(text) >= min && parseDuration(text) <= max,
    expected:
      'a whole number and a unit (s, m, h, d or w) such as 90s, ' +
      `from ${formatDuration(min)} to ${formatDuration(max)}`,
  }
}
