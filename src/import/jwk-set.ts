import { ImportRefused } from '../errors.ts'
import {
  assertSomething,
  type Imported,
  type ImportedKey,
  type LeftOut,
  leftOut,
  withoutTwins,
} from './imported-key.ts'
import { encrypts, type JwkContext, jwkName, kidOf, readJwk } from './jwk.ts'
import { orRefusal, refusal } from './refusal.ts'

/** Most keys of one set; no issuer publishes a hundred. */
const KEYS_MAX = 1000

/**
 * Reads a JWK, a JWK Set, or an array of JWKs. Unusable keys of a set are named and do not affect
 * the others.
 * @param context facts about all keys; `source` names the file
 * @throws ImportRefused if no key can be taken in
 */
export async function readJwks(value: unknown, context: JwkContext): Promise<Imported> {
  const values = keysOf(value, context.source)
  if (values === undefined) return { keys: [await readJwk(value, context)], left: [] }
  if (values.length > KEYS_MAX) {
    throw refusal('input_too_large', `${context.source} has more than ${KEYS_MAX} keys.`)
  }
  const keys: ImportedKey[] = []
  const left: LeftOut[] = []
  for (const [index, jwk] of values.entries()) {
    const name = jwkName(jwk, index)
    const read = await orRefusal(() =>
      readJwk(jwk, { ...context, source: `${context.source}#${name}` }),
    )
    if (read instanceof ImportRefused) {
      left.push(leftOut(name, read, { kid: kidOf(jwk), isHarmless: encrypts(jwk) }))
    } else keys.push(read)
  }
  const single = withoutTwins(keys)
  const imported = { keys: single.keys, left: [...left, ...single.left] }
  assertSomething(imported, context.source)
  return imported
}

/** Keys of a set; undefined for a single JWK. */
function keysOf(value: unknown, source: string): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value
  if (typeof value !== 'object' || value === null) {
    throw refusal('input_malformed', `${source} is JSON, and neither a JWK nor a JWK Set.`)
  }
  if (!('keys' in value)) return undefined
  if (Array.isArray(value.keys)) return value.keys
  throw refusal('input_malformed', `${source} has a member keys that is no array.`)
}
