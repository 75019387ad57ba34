import { ECDH } from 'node:crypto'
import { curveUnsupported } from './curve-keys.ts'
import {
  bits,
  children,
  type Der,
  inner,
  integer,
  isInteger,
  isObjectId,
  isOctets,
  isSequence,
  objectId,
  octets,
  readDer,
  smallInteger,
  tagged,
} from './der.ts'
import { refusal } from './refusal.ts'
import { multiPrime } from './rsa.ts'

/** Keys in DER: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017), SEC 1 (RFC 5915), SPKI (RFC 5280). */

export interface DerKey {
  /** Members as in a JWK, not yet checked. */
  readonly members: Record<string, unknown>
  /** Algorithm, if the kind of the key allows only one. */
  readonly algorithm?: string
}

const RSA = '1.2.840.113549.1.1.1'
const RSA_PSS = '1.2.840.113549.1.1.10'
const EC = '1.2.840.10045.2.1'
const ED25519 = '1.3.101.112'
const CURVES: Readonly<Record<string, readonly [string, string]>> = {
  '1.2.840.10045.3.1.7': ['P-256', 'prime256v1'],
  '1.3.132.0.34': ['P-384', 'secp384r1'],
  '1.3.132.0.35': ['P-521', 'secp521r1'],
}
/** Names of other curves in use, for messages. */
const OTHER_CURVES: Readonly<Record<string, string>> = {
  '1.3.132.0.10': 'secp256k1',
  '1.3.132.0.33': 'P-224',
  '1.3.36.3.3.2.8.1.1.7': 'brainpoolP256r1',
  '1.3.36.3.3.2.8.1.1.11': 'brainpoolP384r1',
  '1.3.36.3.3.2.8.1.1.13': 'brainpoolP512r1',
}
const OTHER_KINDS: Readonly<Record<string, string>> = {
  '1.3.101.110': 'X25519, which agrees on secrets and signs nothing',
  '1.3.101.111': 'X448, which agrees on secrets and signs nothing',
  '1.3.101.113': 'Ed448, which most relying parties do not verify',
  '2.16.840.1.101.3.4.3.17': 'ML-DSA, which is made anew and not brought along',
  '2.16.840.1.101.3.4.3.18': 'ML-DSA, which is made anew and not brought along',
  '2.16.840.1.101.3.4.3.19': 'ML-DSA, which is made anew and not brought along',
  '1.2.840.10040.4.1': 'DSA, which JOSE does not have',
}
/** JWS algorithm and salt length for the hash to which an RSASSA-PSS key restricts itself. */
const PSS: Readonly<Record<string, readonly [string, number]>> = {
  '2.16.840.1.101.3.4.2.1': ['PS256', 32],
  '2.16.840.1.101.3.4.2.2': ['PS384', 48],
  '2.16.840.1.101.3.4.2.3': ['PS512', 64],
}

/**
 * Content of a sequence in DER, told by its structure alone; labels and file names do not matter.
 */
export type DerForm =
  | 'pkcs12'
  | 'pkcs8'
  | 'encrypted-pkcs8'
  | 'pkcs1'
  | 'pkcs1-public'
  | 'sec1'
  | 'spki'
  | 'certificate'
  | 'certificate-request'

/** Tells the form of a value; undefined if it has none of the forms. */
export function formOf(der: Der): DerForm | undefined {
  if (!isSequence(der)) return undefined
  const [first, second, third] = children(der)
  if (isInteger(first)) {
    if (isOctets(second)) return 'sec1'
    if (isInteger(second)) return children(der).length === 2 ? 'pkcs1-public' : 'pkcs1'
    if (!isSequence(second) || !isObjectId(children(second)[0])) return undefined
    return isOctets(third) ? 'pkcs8' : 'pkcs12'
  }
  if (!isSequence(first)) return undefined
  if (isObjectId(children(first)[0])) return isOctets(second) ? 'encrypted-pkcs8' : 'spki'
  // A request has version, name, key and attributes; a certificate has at least two members more.
  return children(first).length < 6 ? 'certificate-request' : 'certificate'
}

/** Reads a private key of the forms `pkcs8`, `pkcs1` and `sec1`. @throws ImportRefused */
export function privateMembers(bytes: Uint8Array): DerKey {
  const der = readDer(bytes)
  switch (formOf(der)) {
    case 'pkcs1':
      return { members: pkcs1(der) }
    case 'sec1':
      return { members: sec1(der) }
    case 'pkcs8':
      return pkcs8(der)
    default:
      throw refusal('input_malformed', 'There is no private key in its place: the file is damaged.')
  }
}

/** Reads a public key of the forms `spki` and `pkcs1-public`. @throws ImportRefused */
export function publicMembers(bytes: Uint8Array): DerKey {
  const der = readDer(bytes)
  if (formOf(der) === 'pkcs1-public') return { members: rsaMembers(['n', 'e'], children(der)) }
  const [algorithm, key] = children(der)
  const [kind, parameters] = children(algorithm)
  const oid = objectId(kind)
  if (oid === RSA || oid === RSA_PSS) {
    const members = rsaMembers(['n', 'e'], children(readDer(bits(key))))
    return { members, ...(oid === RSA_PSS && { algorithm: pssAlgorithm(parameters) }) }
  }
  if (oid === EC) return { members: { kty: 'EC', ...pointMembers(parameters, bits(key)) } }
  if (oid === ED25519) return { members: { kty: 'OKP', crv: 'Ed25519', x: text(bits(key)) } }
  throw kindUnsupported(oid)
}

function pkcs8(der: Der): DerKey {
  const [, algorithm, key, ...rest] = children(der)
  const [kind, parameters] = children(algorithm)
  const oid = objectId(kind)
  if (oid === RSA) return { members: pkcs1(readDer(octets(key))) }
  if (oid === RSA_PSS) {
    return { members: pkcs1(readDer(octets(key))), algorithm: pssAlgorithm(parameters) }
  }
  if (oid === EC) return { members: sec1(readDer(octets(key)), parameters) }
  if (oid === ED25519) {
    const publicKey = tagged(rest, 1)
    return {
      members: {
        kty: 'OKP',
        crv: 'Ed25519',
        d: text(octets(readDer(octets(key)))),
        ...(publicKey && { x: text(bits(publicKey)) }),
      },
    }
  }
  throw kindUnsupported(oid)
}

function pkcs1(der: Der): Record<string, unknown> {
  const [version, ...numbers] = children(der)
  if (smallInteger(version) !== 0) throw multiPrime()
  return rsaMembers(['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'], numbers)
}

function rsaMembers(names: readonly string[], numbers: readonly Der[]): Record<string, unknown> {
  return {
    kty: 'RSA',
    ...Object.fromEntries(names.map((name, i) => [name, text(integer(numbers[i]))])),
  }
}

/** Reads SEC 1. @param outer parameters of PKCS#8, because the inner ones may be missing */
function sec1(der: Der, outer?: Der): Record<string, unknown> {
  const [, key, ...rest] = children(der)
  const own = tagged(rest, 0)
  const publicKey = tagged(rest, 1)
  const parameters = outer ?? (own && inner(own))
  return {
    kty: 'EC',
    d: text(octets(key)),
    ...(publicKey
      ? pointMembers(parameters, bits(inner(publicKey)))
      : { crv: curve(parameters)[0] }),
  }
}

function pointMembers(parameters: Der | undefined, point: Buffer): Record<string, unknown> {
  const [crv, name] = curve(parameters)
  // Node returns text if the point has no bytes.
  if (point.length === 0) throw refusal('key_malformed', 'Its point is empty: the key is damaged.')
  let whole: Buffer
  try {
    // The point may be compressed (SEC 1, section 2.3.3).
    whole = ECDH.convertKey(point, name, undefined, undefined, 'uncompressed') as Buffer
  } catch {
    throw refusal('key_malformed', `Its point is not on the curve ${crv}: the key is damaged.`)
  }
  const half = (whole.length - 1) / 2
  return { crv, x: text(whole.subarray(1, 1 + half)), y: text(whole.subarray(1 + half)) }
}

function curve(parameters: Der | undefined): readonly [string, string] {
  if (isSequence(parameters)) {
    throw refusal(
      'key_type_unsupported',
      'It writes out the parameters of its curve instead of naming it, which relying parties refuse. ' +
        'Convert it: openssl ec -param_enc named_curve',
    )
  }
  const oid = objectId(parameters)
  return CURVES[oid] ?? unsupportedCurve(oid)
}

function unsupportedCurve(oid: string): never {
  throw curveUnsupported(OTHER_CURVES[oid] ?? oid)
}

/**
 * Algorithm that the parameters of an RSASSA-PSS key allow. Without parameters any hash is allowed;
 * JWS libraries then sign with SHA-256 (RFC 4055, section 1.2).
 */
function pssAlgorithm(parameters: Der | undefined): string {
  if (!isSequence(parameters)) return 'PS256'
  const values = children(parameters)
  const hash = tagged(values, 0)
  const salt = tagged(values, 2)
  const [name, length] = (hash && PSS[objectId(children(inner(hash))[0])]) || []
  if (!name || !length || (salt ? smallInteger(inner(salt)) : 20) > length) {
    throw refusal(
      'algorithm_unsupported',
      'It is an RSASSA-PSS key whose parameters allow none of PS256, PS384 and PS512.',
    )
  }
  return name
}

function kindUnsupported(oid: string) {
  const kind = OTHER_KINDS[oid] ?? `an unknown kind (${oid})`
  return refusal('key_type_unsupported', `It is a key of ${kind}, so it cannot come in.`)
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
