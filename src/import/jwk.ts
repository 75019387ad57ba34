import type { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { buildKey, type FoundKey } from './build-key.ts'
import { attachedChain, CHAIN_MAX, parseCertificate } from './certificates.ts'
import type { ImportedKey } from './imported-key.ts'
import { refusal } from './refusal.ts'

/**
 * Members of a JWK (RFC 7517, section 4) that are read beside its material. Unknown members are
 * ignored.
 */
const JWK = z.looseObject({
  kty: z.string(),
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
  // The items are checked later, because a list of all their faults could take more memory than
  // they do.
  key_ops: z.array(z.unknown()).optional(),
  x5c: z.array(z.unknown()).optional(),
})

/** Facts about a JWK from the export in which it was found. */
export type JwkContext = Omit<Partial<FoundKey>, 'members'> & { readonly source: string }

/**
 * Reads one JWK, public or private.
 * @param context takes precedence over the members of the JWK
 * @throws ImportRefused
 */
export async function readJwk(value: unknown, context: JwkContext): Promise<ImportedKey> {
  const parsed = JWK.safeParse(value)
  if (!parsed.success) {
    const member = String(parsed.error.issues[0]?.path[0] ?? 'kty')
    throw refusal(
      'key_malformed',
      `It is no JWK: its member ${member} is missing or of the wrong type.`,
    )
  }
  const { kid, alg, use, key_ops: operations, x5c } = parsed.data
  const key = await buildKey({
    members: parsed.data,
    ...(kid !== undefined && { kid }),
    ...(alg !== undefined && { algorithm: alg }),
    use: useOf(use, { operations, alg, crv: parsed.data.crv }),
    ...context,
  })
  if (!x5c) return key
  const certificates = x5cOf(x5c)
  return { ...key, certificates: await attachedChain(key, certificates) }
}

function x5cOf(x5c: readonly unknown[]): readonly X509Certificate[] {
  if (x5c.length > CHAIN_MAX) {
    throw refusal(
      'certificate_malformed',
      `Its chain (x5c) has more than ${CHAIN_MAX} certificates.`,
    )
  }
  return x5c.map((text) => {
    if (typeof text === 'string') return parseCertificate(Buffer.from(text, 'base64'))
    throw refusal('certificate_malformed', 'Its chain (x5c) has something that is no text.')
  })
}

/** Name of a JWK in the list of keys left out: the kid, or the place in the set. */
export function jwkName(value: unknown, index: number): string {
  return kidOf(value)?.slice(0, 255) ?? `keys[${index}]`
}

/** Kid of a JWK; undefined if it has none. */
export function kidOf(value: unknown): string | undefined {
  const kid = (value as { kid?: unknown } | null)?.kid
  return typeof kid === 'string' && kid !== '' ? kid : undefined
}

/** Algorithms of JWE (RFC 7518, section 4.1) for a public key, with which none signs. */
const ENCRYPTS = /^(?:RSA1_5|RSA-OAEP|ECDH-ES)/
/** Curves that agree on secrets and sign nothing (RFC 8037, section 3.2). */
const AGREES = /^X(?:25519|448)$/

/** True if a JWK says that it is for encryption, whether it can be read or not. */
export function encrypts(value: unknown): boolean {
  const { use, alg, crv } = (value ?? {}) as { use?: unknown; alg?: unknown; crv?: unknown }
  return use === 'enc' || (use === undefined && onlyEncrypts({ alg, crv }))
}

/** True if the algorithm or the curve of a JWK is of no use to sign with. */
function onlyEncrypts({ alg, crv }: { readonly alg: unknown; readonly crv: unknown }): boolean {
  return isOf(alg, ENCRYPTS) || isOf(crv, AGREES)
}

function isOf(value: unknown, names: RegExp): boolean {
  return typeof value === 'string' && names.test(value)
}

function useOf(
  use: string | undefined,
  {
    operations,
    alg,
    crv,
  }: { readonly operations: readonly unknown[] | undefined; alg: unknown; crv: unknown },
): 'sig' | 'enc' {
  if (use === 'enc') return 'enc'
  if (use !== undefined && use !== 'sig') {
    throw refusal(
      'key_type_unsupported',
      'Its use is neither sig nor enc, and rings of Keyturn sign.',
    )
  }
  const decrypts =
    operations?.length && !operations.some((name) => name === 'sign' || name === 'verify')
  return use === undefined && (decrypts || onlyEncrypts({ alg, crv })) ? 'enc' : 'sig'
}
