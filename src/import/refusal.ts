import { ImportRefused } from '../errors.ts'

/**
 * Reasons for which something is not taken in. The codes are stable, so scripts may compare them.
 */
export type ImportCode =
  /** More bytes than a reader takes, or more work than it does for a password. */
  | 'input_too_large'
  | 'input_empty'
  /** The file ends too early, because it is half-written or was cut off in copying. */
  | 'input_truncated'
  /** The file is not of the format, or damaged. */
  | 'input_malformed'
  /** The format is known but not read; the message tells how to convert it. */
  | 'format_unsupported'
  | 'password_missing'
  | 'password_wrong'
  | 'encryption_unsupported'
  /** The file is an export that should have private halves, but masks or lacks them. */
  | 'secrets_missing'
  | 'system_secrets_missing'
  | 'keystore_missing'
  | 'realm_unknown'
  | 'no_keys'
  | 'alias_unknown'
  /** The key is below the policy: RSA of fewer than 2048 bits, or a small public exponent. */
  | 'key_weak'
  | 'key_too_large'
  /** A number of the key is missing or damaged, or a point is not on its curve. */
  | 'key_malformed'
  /** The private half belongs to another public half. */
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
  /** Options of the old system under which it would not have started. */
  | 'times_contradictory'
  /** The key is Data-Protected, and the key ring was not given or does not open it. */
  | 'unprotect_missing'
  | 'unprotect_failed'

/** Codes of what no relying party misses: a key that is never published, or a mere certificate. */
const HARMLESS: readonly ImportCode[] = [
  'key_symmetric',
  'certificate_expired',
  'certificate_unused',
]

/** Most characters of a message, which may quote names from the source. */
const MESSAGE_MAX = 4000

/**
 * Makes a refusal.
 * @param message what is wrong, where, and what to do, without any secret. Names in it may be
 * quoted unchanged, because control characters are replaced.
 * @param options.isHarmless true if the old system does not publish such a key either
 */
export function refusal(
  code: ImportCode,
  message: string,
  { isHarmless = HARMLESS.includes(code) } = {},
): ImportRefused {
  const short = message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX)}…` : message
  const text = short.toWellFormed().replace(/(?!\n)\p{Cc}/gu, '?')
  return new ImportRefused(code, text, { isHarmless })
}

/** Code of a refusal, which only {@link refusal} makes. */
export function codeOf(refused: ImportRefused): ImportCode {
  return refused.code as ImportCode
}

/**
 * Calls a function and returns its refusal instead of throwing it, so that one bad key does not
 * affect the others.
 * @throws errors other than {@link ImportRefused}
 */
export async function orRefusal<T>(read: () => Promise<T> | T): Promise<T | ImportRefused> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof ImportRefused) return error
    throw error
  }
}
