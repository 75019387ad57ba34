import type { Imported, ImportedKey } from './imported-key.ts'
import { assertSize, decodeText, INPUT_BYTES_MAX, parseJson } from './input.ts'
import { readJwks } from './jwk-set.ts'

/**
 * Reads the `jwks` of a configuration of node-oidc-provider, or the whole configuration, as
 * JSON. The first key that fits an algorithm signs. The other keys have no phase, because their
 * order does not tell whether they are next or old.
 * @throws ImportRefused if no key can be taken in
 */
export async function readOidcProvider(
  bytes: Uint8Array,
  { name }: { readonly name: string },
): Promise<Imported> {
  assertSize(bytes, INPUT_BYTES_MAX, name)
  const value = parseJson(decodeText(bytes, name), name)
  const { jwks = value } = (value ?? {}) as { jwks?: unknown }
  const { keys, left } = await readJwks(jwks, { source: name })
  const signing = new Set<string>()
  const withPhase = (key: ImportedKey): ImportedKey => {
    if (key.use === 'enc' || !key.private || signing.has(key.algorithm)) return key
    signing.add(key.algorithm)
    return { ...key, phaseHint: 'active' }
  }
  return { keys: keys.map(withPhase), left }
}
