import { ImportRefused } from '../errors.ts'

/** Why something is not taken in. The codes are stable; scripts may compare them. */
export type ImportCode =
  /** More bytes than a reader takes, or more work than it does for a password. */
  | 'input_too_large'
  | 'input_empty'
  /** The file ends too early: half-written, or cut off in copying. */
  | 'input_truncated'
  /** The file is not of the format, or damaged. */
  | 'input_malformed'
  /** The format is known and not read; the message tells how to convert it. */
  | 'format_unsupported'
  | 'password_missing'
  | 'password_wrong'
  | 'encryption_unsupported'
  /** The file is an export without private halves that pretends to have them. */
  | 'secrets_missing'
  | 'system_secrets_missing'
  | 'keystore_missing'
  | 'realm_unknown'
  | 'no_keys'
  | 'alias_unknown'
  /** Below the policy: RSA of fewer than 2048 bits, or a small public exponent. */
  | 'key_weak'
  | 'key_too_large'
  /** A number of the key is missing or damaged, or a point is not on its curve. */
  | 'key_malformed'
  /** The private half is that of another public half. */
  | 'key_halves_differ'
  | 'key_multi_prime'
  | 'key_symmetric'
  /** No ring of Keyturn can have a key of this type or curve. */
  | 'key_type_unsupported'
  | 'algorithm_unsupported'
  | 'algorithm_mismatch'
  | 'certificate_mismatch'
  | 'certificate_expired'
  | 'certificate_unused'
  | 'certificate_malformed'
  | 'kid_duplicate'
  | 'kid_malformed'
  | 'date_malformed'
  /** Data-Protected, and the key ring was not given, or does not open it. */
  | 'unprotect_missing'
  | 'unprotect_failed'

/** Characters of a message, which may quote names from the source. */
const MESSAGE_MAX = 4000

/**
 * A refusal to throw.
 * @param message what is wrong, where, and what to do; never anything of a secret. Names in it are quoted as
 *   they come: control characters in them are replaced.
 */
export function refusal(code: ImportCode, message: string): ImportRefused {
  const short = message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX)}…` : message
  return new ImportRefused(code, short.toWellFormed().replace(/(?!\n)\p{Cc}/gu, '?'))
}

/** The code of a refusal, which {@link refusal} alone makes. */
export function codeOf(refused: ImportRefused): ImportCode {
  return refused.code as ImportCode
}

/**
 * What a function gives, or the refusal that it threw, so that one bad key harms no other.
 * @throws whatever is not an {@link ImportRefused}
 */
export async function orRefusal<T>(read: () => Promise<T> | T): Promise<T | ImportRefused> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof ImportRefused) return error
    throw error
  }
}
