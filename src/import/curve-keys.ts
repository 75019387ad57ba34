import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto'
import type { JWK } from 'jose'
import { isEd25519Point } from './ed25519-point.ts'
import { refusal } from './refusal.ts'
import { memberBytes, padded } from './unsigned.ts'

/**
 * EC and OKP keys: only curves that a ring can have, and only a public half that fits the private
 * one.
 */

/** Bytes of a coordinate, and the name of the curve in OpenSSL. */
const EC_CURVES: Readonly<Record<string, readonly [number, string]>> = {
  'P-256': [32, 'prime256v1'],
  'P-384': [48, 'secp384r1'],
  'P-521': [66, 'secp521r1'],
}

const ED25519_BYTES = 32
/** PKCS#8 of an Ed25519 key, up to the 32 bytes of the private half (RFC 8410, section 7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * Reads a key of a NIST curve from the members of a JWK. If x and y are missing, as PKCS#8 and SEC
 * 1 allow, they are computed from d.
 * @throws ImportRefused `key_type_unsupported`, `key_malformed`, `key_halves_differ`
 */
export function ecKey(members: Readonly<Record<string, unknown>>): JWK {
  const crv = typeof members.crv === 'string' ? members.crv : ''
  const [length, name] = (Object.hasOwn(EC_CURVES, crv) && EC_CURVES[crv]) || []
  if (!length || !name) throw curveUnsupported(crv)
  const coordinate = (member: 'x' | 'y' | 'd') =>
    padded(memberBytes(members[member], member), length) ??
    refuseMember(member, `it is larger than ${crv} allows`)

  if (members.d === undefined) {
    const jwk = { kty: 'EC', crv, ...point(coordinate('x'), coordinate('y')) }
    assertOnCurve(jwk)
    return jwk
  }
  const d = coordinate('d')
  const ours = publicPoint(name, d, length)
  if (members.x !== undefined || members.y !== undefined) {
    const given = point(coordinate('x'), coordinate('y'))
    if (given.x !== ours.x || given.y !== ours.y) {
      assertOnCurve({ kty: 'EC', crv, ...given })
      throw halvesDiffer('x and y')
    }
  }
  return { kty: 'EC', crv, ...ours, d: d.toString('base64url') }
}

/**
 * Reads an Ed25519 key from the members of a JWK. If x is missing, it is computed from d.
 * @throws ImportRefused `key_type_unsupported`, `key_malformed`, `key_halves_differ`
 */
export function okpKey(members: Readonly<Record<string, unknown>>): JWK {
  const crv = typeof members.crv === 'string' ? members.crv : ''
  if (/^X(25519|448)$/.test(crv)) {
    throw refusal(
      'key_type_unsupported',
      `It is a key of ${crv}, which agrees on secrets and signs nothing.`,
    )
  }
  if (crv !== 'Ed25519') throw curveUnsupported(crv)
  const x = members.x === undefined ? undefined : exact(memberBytes(members.x, 'x'), 'x')
  if (members.d === undefined) {
    if (x === undefined) return refuseMember('x', 'it is missing')
    if (!isEd25519Point(Buffer.from(x, 'base64url'))) {
      throw refusal(
        'key_malformed',
        'Its point x is not on the curve Ed25519, or is one under which anybody could sign: the key is damaged.',
      )
    }
    return { kty: 'OKP', crv, x }
  }
  const d = memberBytes(members.d, 'd')
  const written = exact(d, 'd')
  const ours = ed25519Public(d)
  if (x !== undefined && x !== ours) throw halvesDiffer('x')
  return { kty: 'OKP', crv, x: ours, d: written }
}

/** Makes the refusal of a curve that no ring can have. */
export function curveUnsupported(name: string) {
  return refusal(
    'key_type_unsupported',
    `Its curve is ${/^[\w. -]{1,40}$/.test(name) ? name : 'unknown'}, and no ring can have it. Keyturn signs with ` +
      'P-256, P-384, P-521 and Ed25519.',
  )
}

function publicPoint(curve: string, d: Buffer, length: number) {
  const ecdh = createECDH(curve)
  orMalformed(() => ecdh.setPrivateKey(d))
  return point(
    ecdh.getPublicKey().subarray(1, length + 1),
    ecdh.getPublicKey().subarray(length + 1),
  )
}

function point(x: Buffer, y: Buffer) {
  return { x: x.toString('base64url'), y: y.toString('base64url') }
}

function assertOnCurve(jwk: JWK): void {
  try {
    createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    throw refusal(
      'key_malformed',
      `Its point (x, y) is not on the curve ${jwk.crv}: the key is damaged.`,
    )
  }
}

function ed25519Public(d: Buffer): string {
  const der = Buffer.concat([ED25519_PKCS8, d])
  const key = orMalformed(() => createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  return String(createPublicKey(key).export({ format: 'jwk' }).x)
}

function exact(bytes: Buffer, name: string): string {
  if (bytes.length !== ED25519_BYTES) refuseMember(name, 'Ed25519 has 32 bytes there')
  return bytes.toString('base64url')
}

function orMalformed<T>(make: () => T): T {
  try {
    return make()
  } catch {
    throw refusal('key_malformed', 'Its numbers make no key of its kind: it is damaged.')
  }
}

function halvesDiffer(member: string) {
  return refusal(
    'key_halves_differ',
    `Its private half is not that of its public half (${member}). Nothing that it signs could be verified.`,
  )
}

function refuseMember(name: string, why: string): never {
  throw refusal('key_malformed', `Its member ${name} is wrong: ${why}.`)
}
