import { hash, X509Certificate } from 'node:crypto'
import type { JWK } from 'jose'
import { ImportRefused } from '../errors.ts'
import { buildKey } from './build-key.ts'
import type { ImportedKey } from './imported-key.ts'
import { publicMembers } from './key-der.ts'
import { orRefusal, refusal } from './refusal.ts'

/** Certificates beside a key: finds the key's certificate and the chain of its issuers. */

export interface FoundCertificate {
  readonly certificate: X509Certificate
  readonly alias?: string
  /**
   * The localKeyId of PKCS#12 in hexadecimal, by which the file names the key of the certificate.
   */
  readonly localKeyId?: string
}

/** Most certificates of a chain. Nobody has half as many, and each is a signature to verify. */
export const CHAIN_MAX = 10

/** Most certificates of a source, each of which may have issued any other. */
export const CERTIFICATES_MAX = 200

/** Parses a certificate in DER. @throws ImportRefused `certificate_malformed` */
export function parseCertificate(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch {
    throw refusal('certificate_malformed', 'A certificate cannot be read: it is damaged.')
  }
}

/** RFC 7638 thumbprint of the public half; undefined for a kind of key that no ring can have. */
async function thumbprintOf(certificate: X509Certificate): Promise<string | undefined> {
  const key = await orRefusal(() =>
    buildKey({ members: certificateMembers(certificate), source: '' }),
  )
  return key instanceof ImportRefused ? undefined : key.thumbprint
}

/** Function that computes the thumbprint of the public half in a certificate. */
export type ThumbprintOf = typeof thumbprintOf

/**
 * Makes a {@link ThumbprintOf} that reads each certificate once, because a file may have hundreds
 * of keys and certificates.
 */
export function rememberingThumbprints(): ThumbprintOf {
  const known = new Map<X509Certificate, Promise<string | undefined>>()
  return (certificate) => {
    const found = known.get(certificate) ?? thumbprintOf(certificate)
    known.set(certificate, found)
    return found
  }
}

/** Members of a JWK with the public half in a certificate. @throws ImportRefused */
export function certificateMembers(certificate: X509Certificate): Record<string, unknown> {
  let spki: Buffer
  try {
    spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  } catch {
    throw refusal('key_type_unsupported', 'The certificate has a key of an unknown kind.')
  }
  return publicMembers(spki).members
}

/**
 * Puts a chain in order, whatever its order in the file: the key's certificate, then the issuer of
 * each (RFC 7517, section 4.7). Other certificates are left out.
 */
export async function chainOf(
  thumbprint: string,
  certificates: readonly X509Certificate[],
  { of = thumbprintOf }: { readonly of?: ThumbprintOf } = {},
): Promise<readonly X509Certificate[]> {
  let leaf: X509Certificate | undefined
  for (const certificate of certificates) {
    if ((await of(certificate)) !== thumbprint) continue
    // If a key has several certificates, the newest is in use.
    if (!leaf || certificate.validFromDate > leaf.validFromDate) leaf = certificate
  }
  const chain: X509Certificate[] = []
  for (let next = leaf; next; next = issuerOf(next, certificates, chain)) {
    chain.push(next)
    if (chain.length === CHAIN_MAX) break
  }
  return chain
}

/**
 * Chain of a key whose source has certificates for it.
 * @returns DER
 * @throws ImportRefused `certificate_mismatch` if none is the key's certificate
 */
export async function attachedChain(
  key: ImportedKey,
  certificates: readonly X509Certificate[],
): Promise<readonly Uint8Array[]> {
  if (certificates.length === 0) return []
  const chain = await chainOf(key.thumbprint, certificates)
  if (chain.length === 0) throw certificateMismatch()
  return chain.map(({ raw }) => raw)
}

/**
 * Members of a JWK for the key's certificates, as IdentityServer and Keycloak publish them (RFC
 * 7517, sections 4.7 and 4.8).
 * @param chain DER; the first is the key's certificate
 */
export function publishedCertificates(
  chain: readonly Uint8Array[],
  { showsSha256 = false }: { readonly showsSha256?: boolean | undefined },
): Pick<JWK, 'x5c' | 'x5t' | 'x5t#S256'> | undefined {
  const [own] = chain
  if (!own) return undefined
  return {
    x5c: chain.map((der) => Buffer.from(der).toString('base64')),
    x5t: hash('sha1', own, 'base64url'),
    ...(showsSha256 && { 'x5t#S256': hash('sha256', own, 'base64url') }),
  }
}

export function certificateMismatch() {
  return refusal(
    'certificate_mismatch',
    'The certificate is not that of the key. Leave the certificate out, or find the key that it belongs to.',
  )
}

/** Certificates that issued none of the others: the ends of chains. */
export function leaves(certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  const isIssuer = (one: X509Certificate) =>
    certificates.some((other) => other !== one && !other.raw.equals(one.raw) && issued(one, other))
  const ends = certificates.filter((certificate) => !isIssuer(certificate))
  return ends.length > 0 ? ends : certificates.slice(0, 1)
}

function issuerOf(
  certificate: X509Certificate,
  all: readonly X509Certificate[],
  chain: readonly X509Certificate[],
): X509Certificate | undefined {
  return all.find(
    (other) => !chain.some(({ raw }) => raw.equals(other.raw)) && issued(other, certificate),
  )
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    // If OpenSSL cannot verify with the issuer's kind of key, nobody could check the signature.
    return false
  }
}
