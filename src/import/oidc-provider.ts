import type { Imported, ImportedKey } from './imported-key.ts'
import { readJwksFile } from './jwks-file.ts'

/**
 * Reads the `jwks` of a configuration of node-oidc-provider, as JSON. The first key that fits an
 * algorithm signs. The other keys have no phase, because their order does not tell whether they are
 * next or old.
 * @throws ImportRefused if no key can be taken in
 */
export async function readOidcProvider(
  bytes: Uint8Array,
  options: { readonly name: string },
): Promise<Imported> {
  const { keys, left } = await readJwksFile(bytes, options)
  const signing = new Set<string>()
  const withPhase = (key: ImportedKey): ImportedKey => {
    if (key.use === 'enc' || !key.private || signing.has(key.algorithm)) return key
    signing.add(key.algorithm)
    return { ...key, phaseHint: 'active' }
  }
  return { keys: keys.map(withPhase), left }
}
