import { z } from 'zod'
import { COOKIE_RING, signatureRing } from '../../ring/policy.ts'
import { duration, durationOrAuto } from '../../values/duration-setting.ts'
import { filePathProblem } from '../../values/path.ts'
import { type TextRule, textBy } from '../../values/text.ts'
import { algorithm } from './setting-types.ts'

/** Settings of the rings of signing keys and of how keys turn. */

/** All possible names of rings in the configuration. */
const RING_NAMES = [...algorithm.options.map(signatureRing), COOKIE_RING] as const

/**
 * Rule for `rotation.witness`. A word in other letters than its own would be the name of a file,
 * so that the witness would not be where it was meant to be.
 */
const witnessProblem: TextRule = (text) => {
  const word = text.toLowerCase()
  if (word === text || !['auto', 'redis', 'none'].includes(word)) return filePathProblem(text)
  return {
    expected: `${word} in small letters, or ./${text} for a file of that name`,
    instead: word,
  }
}

export const ringOverrides = z.strictObject({
  cryptoperiod: duration().optional().describe('Overrides rotation.cryptoperiod.'),
  propagation: duration().optional().describe('Overrides rotation.propagation.'),
  retention: durationOrAuto().optional().describe('Overrides rotation.retention.'),
  standby: z.boolean().optional().describe('Overrides rotation.standby.'),
  archive: duration({ min: 0 }).optional().describe('Overrides rotation.archive.'),
  manual: z
    .boolean()
    .optional()
    .describe('Makes and switches no key by itself; keys plan says what to do and when.'),
})

/** Overrides of a ring; null too, because in YAML a ring without overrides is `sig/RS256:`. */
const ring = z.codec(ringOverrides.nullable(), z.custom<z.output<typeof ringOverrides>>(), {
  decode: (overrides) => overrides ?? {},
  encode: (overrides) => overrides,
})

export const rotation = z.strictObject({
  cryptoperiod: duration().describe('How long a key is meant to sign.'),
  propagation: duration().describe('How long a key is published before it signs.'),
  retention: durationOrAuto().describe('How long a retired key stays published.'),
  standby: z.boolean().describe('Publish the successor as soon as its predecessor is active.'),
  archive: duration({ min: 0 }).describe('How long public halves are kept for id_token_hint.'),
  jwksMaxAge: duration().describe('Longest time an HTTP cache may keep the JWKS.'),
  staleWhileRevalidate: duration({ min: 0 }).describe('stale-while-revalidate of the JWKS.'),
  staleIfError: duration({ min: 0 }).describe('stale-if-error of the JWKS.'),
  rareKeys: z
    .enum(['listed', 'apart'])
    .describe(
      'Where keys of types other than RSA and EC stand: in the JWKS, or at /jwks/all only.',
    ),
  discoveryMaxAge: duration({ min: 0 }).describe('Cache time of the discovery document.'),
  refreshInterval: duration().describe('How often a node loads the keys from the store.'),
  maxRingAge: duration({ min: 2 }).describe('Oldest keys a node may sign with.'),
  clockSkew: duration({ min: 0 }).describe('Largest difference of a node clock from true time.'),
  witness: textBy(witnessProblem).describe(
    'What remembers revocations outside the database: auto, redis, none or FILE.',
  ),
  rings: z
    .partialRecord(z.enum(RING_NAMES), ring)
    .describe('Rings by name, with what they override; a file that gives this map replaces it.'),
})
