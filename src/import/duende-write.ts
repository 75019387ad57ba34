import type { JWK } from 'jose'
import { formatXsdDate, type Ticks } from '../values/ticks.ts'
import type { NamedFile } from './duende.ts'
import { refusal } from './refusal.ts'

/** Files of Duende IdentityServer's key store, byte for byte as System.Text.Json writes them. */

/** A key on its way back to IdentityServer. */
export interface DuendeExport {
  /** JWK with the private half. */
  readonly jwk: JWK
  /** Kid, which becomes part of the file's name. */
  readonly kid: string
  /** Algorithm: RS, PS or ES with 256, 384 or 512. */
  readonly algorithm: string
  /** Instant from which IdentityServer computes when the key signs. */
  readonly createdAt: Ticks
  /** Instant from which IdentityServer computes when the key leaves the JWKS. */
  readonly storedAt: Ticks
  /**
   * PKCS#12 store without password, for a key with an X.509 certificate; undefined to write the
   * bare key.
   */
  readonly pkcs12?: Uint8Array | undefined
}

/** Seals a text for the purpose `DataProtectionKeyProtector`. */
export type Protect = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>

/**
 * Writes the file of one key.
 * @param protect undefined for a file in clear, as with `DataProtectKeys` off
 * @throws ImportRefused `algorithm_unsupported` if IdentityServer does not sign with the algorithm,
 * `kid_malformed` if no file can have the kid in its name
 */
export async function writeDuendeFile(key: DuendeExport, protect?: Protect): Promise<NamedFile> {
  if (!/^(?:RS|PS|ES)(?:256|384|512)$/.test(key.algorithm)) {
    throw refusal(
      'algorithm_unsupported',
      `IdentityServer signs with RS, PS and ES, not with ${key.algorithm}.`,
    )
  }
  if (!/^[\w.~-]{1,200}$/.test(key.kid)) {
    throw refusal(
      'kid_malformed',
      `IdentityServer names a file by the kid ${JSON.stringify(key.kid)}, which it cannot.`,
    )
  }
  const inner = serialize({
    ...material(key),
    Id: key.kid,
    Algorithm: key.algorithm,
    HasX509Certificate: key.pkcs12 !== undefined,
    Created: formatXsdDate(key.createdAt),
  })
  const data = protect
    ? Buffer.from(await protect(Buffer.from(inner))).toString('base64url')
    : inner
  const text = serialize({
    Version: 1,
    Id: key.kid,
    Created: formatXsdDate(key.storedAt),
    Algorithm: key.algorithm,
    IsX509Certificate: key.pkcs12 !== undefined,
    Data: data,
    DataProtected: protect !== undefined,
  })
  return { name: `is-signing-key-${key.kid}.json`, bytes: Buffer.from(`\ufeff${text}`) }
}

function material({ jwk, pkcs12 }: DuendeExport): Record<string, unknown> {
  if (pkcs12) return { CertificateRawData: Buffer.from(pkcs12).toString('base64') }
  const bytes = (member: 'd' | 'dp' | 'dq' | 'e' | 'qi' | 'n' | 'p' | 'q' | 'x' | 'y') =>
    Buffer.from(String(jwk[member] ?? ''), 'base64url')
  if (jwk.kty === 'EC') return { D: bytes('d'), Q: { X: bytes('x'), Y: bytes('y') } }
  return {
    Parameters: {
      D: bytes('d'),
      DP: bytes('dp'),
      DQ: bytes('dq'),
      Exponent: bytes('e'),
      InverseQ: bytes('qi'),
      Modulus: bytes('n'),
      P: bytes('p'),
      Q: bytes('q'),
    },
  }
}

/** Writes a value as JSON. Bytes are base64 without escapes, while text has them for + too. */
function serialize(value: unknown): string {
  if (Buffer.isBuffer(value)) return `"${value.toString('base64')}"`
  if (typeof value === 'string') return quoted(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([name, member]) => `"${name}":${serialize(member)}`)
  return `{${members.join(',')}}`
}

/**
 * Quotes text as JavaScriptEncoder.Default does: it escapes all but printable ASCII, and the
 * characters that have a meaning in HTML.
 */
function quoted(text: string): string {
  const escaped = text.replace(/[^ -~]|["'+&<>`\\]/g, (char) =>
    char === '\\' ? '\\\\' : `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
  )
  return `"${escaped}"`
}
