import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import type { TextProblem } from '../values/text.ts'

/** Public keys that a client registers (RFC 7517) for private_key_jwt (RFC 7523). */

/** Members that hold a private or secret key (RFC 7518, section 6; RFC 9864). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

const notPublic = () =>
  z
    .unknown()
    .check(({ value: input, issues }) => {
      if (input === undefined) return
      const message = 'left out, because it is private and only the client may have it'
      issues.push({ code: 'custom', input, message, params: { remove: true }, continue: true })
    })
    .optional()
    .meta({ writeOnly: true })

const jwk = z
  .looseObject({
    kty: z.string(),
    kid: z.string().optional(),
    ...Object.fromEntries(PRIVATE_MEMBERS.map((name) => [name, notPublic()])),
  })
  .check(({ value: input, issues }) => {
    const problem = keyProblem(input)
    if (problem) issues.push({ code: 'custom', input, message: problem.expected })
  })

export const jwksSchema = z.strictObject({
  keys: z.array(jwk).min(1, { error: 'a list with at least one key' }),
})

/** Fewest bits of an RSA key (RFC 7518, section 3.3). */
const RSA_BITS = 2048

function keyProblem(key: JsonWebKey): TextProblem | undefined {
  const known = readKey(key)
  if (!known) return { expected: 'a public key as a JWK (RFC 7517) that OpenSSL can read' }
  const { modulusLength = RSA_BITS } = known.asymmetricKeyDetails ?? {}
  if (modulusLength >= RSA_BITS) return undefined
  return { expected: `an RSA key of ${RSA_BITS} bits or more (RFC 7518, section 3.3)` }
}

function readKey(key: JsonWebKey): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch {
    return undefined
  }
}

/**
 * True if a key can verify signatures of at least one of the algorithms.
 * @param algorithms values of the JWS header `alg`
 */
export function verifiesOneOf(
  { kty, crv, alg, use }: JsonWebKey & { readonly alg?: unknown; readonly use?: unknown },
  algorithms: readonly string[],
): boolean {
  if (use !== undefined && use !== 'sig') return false
  return algorithms.some((each) => {
    if (alg !== undefined && alg !== each) return false
    if (/^[RP]S/.test(each)) return kty === 'RSA'
    if (each === 'ES256') return kty === 'EC' && crv === 'P-256'
    return kty === 'OKP' && crv === 'Ed25519'
  })
}
