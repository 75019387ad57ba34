import type { Imported } from './imported-key.ts'
import { assertSize, decodeText, INPUT_BYTES_MAX, parseJson } from './input.ts'
import { readJwks } from './jwk-set.ts'

/**
 * Reads a JWKS as an issuer publishes it, or a set with private halves. The keys get no phases,
 * because only their issuer knows which one signs.
 * @param name name of the file, or the URL that it was fetched from, for messages
 * @throws ImportRefused if no key can be taken in
 */
export async function readJwksFile(
  bytes: Uint8Array,
  { name }: { readonly name: string },
): Promise<Imported> {
  assertSize(bytes, INPUT_BYTES_MAX, name)
  return readJwks(parseJson(decodeText(bytes, name), name), { source: name })
}
