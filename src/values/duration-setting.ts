import { z } from 'zod'
import { DURATION_PATTERN, type DurationLimits, durationRule, parseDuration } from './duration.ts'
import { formatDuration } from './duration-text.ts'

/** Durations in the schema of the configuration. */

/** A setting that is text in files and seconds in the resolved configuration. */
export function duration(limits: DurationLimits = {}) {
  const { isValid, expected } = durationRule(limits)
  const text = z.string({ error: expected }).refine(isValid, { error: expected })
  return z.codec(text.meta({ pattern: `^${DURATION_PATTERN}$` }), z.int(), {
    decode: parseDuration,
    encode: formatDuration,
  })
}

/** Like `duration`, or the word `auto` for a value computed from other settings. */
export function durationOrAuto(limits: DurationLimits = {}) {
  const { isValid, expected } = durationRule(limits)
  const text = z
    .string({ error: `auto, or ${expected}` })
    .refine((value) => value === 'auto' || isValid(value), { error: `auto, or ${expected}` })
  return z.codec(
    text.meta({ pattern: `^(auto|${DURATION_PATTERN})$` }),
    z.union([z.literal('auto'), z.int()]),
    {
      decode: (value) => (value === 'auto' ? value : parseDuration(value)),
      encode: (value) => (value === 'auto' ? value : formatDuration(value)),
    },
  )
}
