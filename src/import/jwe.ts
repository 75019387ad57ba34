import {
  compactDecrypt,
  decodeProtectedHeader,
  errors,
  type FlattenedJWE,
  flattenedDecrypt,
} from 'jose'
import { type PasswordWork, passwordWrong } from './password-encryption.ts'
import { passwordMissing } from './pkcs12.ts'
import { refusal } from './refusal.ts'

/** A JWK or JWK Set encrypted under a password (RFC 7517, section 7), as step keeps its keys. */

/** Most rounds of PBKDF2; step has 600,000. */
const ROUNDS_MAX = 2_000_000
const ALGORITHMS = {
  keyManagementAlgorithms: ['PBES2-HS256+A128KW', 'PBES2-HS384+A192KW', 'PBES2-HS512+A256KW'],
  maxPBES2Count: ROUNDS_MAX,
}
const COMPACT = /^[\w-]+\.[\w-]*\.[\w-]*\.[\w-]+\.[\w-]+$/

/** True if the text is JWE in compact form. */
export function looksLikeJwe(text: string): boolean {
  return COMPACT.test(text.trim())
}

/** True if a JSON value is JWE. */
export function isJwe(value: unknown): value is FlattenedJWE {
  return typeof value === 'object' && value !== null && 'ciphertext' in value
}

/**
 * Decrypts JWE in either form.
 * @returns JSON
 * @throws ImportRefused `password_missing`, `password_wrong`, `encryption_unsupported`,
 * `input_malformed`, `input_too_large`
 */
export async function decryptJwe(
  jwe: string | FlattenedJWE,
  { password, work }: { readonly password?: string | undefined; readonly work: PasswordWork },
): Promise<Uint8Array> {
  if (password === undefined) throw passwordMissing()
  work.spend(roundsOf(jwe))
  const secret = new TextEncoder().encode(password)
  try {
    const { plaintext } =
      typeof jwe === 'string'
        ? await compactDecrypt(jwe.trim(), secret, ALGORITHMS)
        : await flattenedDecrypt(jwe, secret, ALGORITHMS)
    return plaintext
  } catch (error) {
    if (error instanceof errors.JWEDecryptionFailed) throw passwordWrong()
    if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
      throw refusal(
        'encryption_unsupported',
        'The encrypted JWK is encrypted by something else than a password (PBES2). Decrypt it first.',
      )
    }
    throw refusal('input_malformed', 'The encrypted JWK cannot be read: it is damaged.')
  }
}

/**
 * Number of rounds in the protected header; the largest allowed one if the header has no valid
 * number.
 */
function roundsOf(jwe: string | FlattenedJWE): number {
  try {
    const { p2c } = decodeProtectedHeader(typeof jwe === 'string' ? jwe.trim() : jwe)
    return typeof p2c === 'number' && p2c > 0 && p2c < ROUNDS_MAX ? p2c : ROUNDS_MAX
  } catch {
    return ROUNDS_MAX
  }
}
