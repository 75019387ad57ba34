import { createHmac, timingSafeEqual } from 'node:crypto'
import { ImportRefused } from '../errors.ts'
import { type FoundCertificate, parseCertificate } from './certificates.ts'
import {
  bmpText,
  children,
  type Der,
  inner,
  isObjectId,
  isSequence,
  objectId,
  octets,
  readDer,
  toDer,
} from './der.ts'
import { type DerKey, privateMembers } from './key-der.ts'
import {
  createPasswordWork,
  decryptByPassword,
  hmacDigest,
  macRounds,
  type PasswordWork,
  passwordWrong,
  pbkdf2,
} from './password-encryption.ts'
import { bmpPassword, PURPOSE, pkcs12Derive } from './pkcs12-kdf.ts'
import { codeOf, refusal } from './refusal.ts'

/** PKCS#12 (RFC 7292), and its MAC by PBMAC1 (RFC 9879). */

export interface KeystoreKey extends DerKey {
  readonly alias?: string
  readonly localKeyId?: string
  /** Certificates, if the store names the chain of each key. */
  readonly certificates?: readonly FoundCertificate[]
}

/** Contents of a keystore: keys with their certificates. */
export interface Keystore {
  readonly keys: readonly KeystoreKey[]
  /** Entries of private keys that cannot be opened. */
  readonly sealed: readonly {
    readonly alias: string | undefined
    readonly refused: ImportRefused
  }[]
  readonly certificates: readonly FoundCertificate[]
}

export interface KeystorePasswords {
  /** Password of the store; undefined for none, unlike an empty one. */
  readonly password?: string | undefined
  /** Password of the keys, if it differs from that of the store. */
  readonly keyPassword?: string | undefined
  /** Limit of the work on passwords. Default: the limit for one file. */
  readonly work?: PasswordWork | undefined
}

const DATA = '1.2.840.113549.1.7.1'
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6'
const PBMAC1 = '1.2.840.113549.1.5.14'
const BAG = {
  key: '1.2.840.113549.1.12.10.1.1',
  shroudedKey: '1.2.840.113549.1.12.10.1.2',
  certificate: '1.2.840.113549.1.12.10.1.3',
  nested: '1.2.840.113549.1.12.10.1.6',
} as const
const X509 = '1.2.840.113549.1.9.22.1'
const FRIENDLY_NAME = '1.2.840.113549.1.9.20'
const LOCAL_KEY_ID = '1.2.840.113549.1.9.21'
const HASHES: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}
/** Most levels of nested bags, and most bags in all. */
const DEPTH_MAX = 4
const BAGS_MAX = 2000

/**
 * Opens a keystore.
 * @throws ImportRefused `password_missing`, `password_wrong`, `encryption_unsupported`,
 * `input_malformed`
 */
export function readPkcs12(bytes: Uint8Array, passwords: KeystorePasswords): Keystore {
  const [, content, mac] = children(readDer(bytes))
  const [kind, data] = children(content)
  if (objectId(kind) !== DATA) {
    throw refusal(
      'format_unsupported',
      'The PKCS#12 store is sealed for a public key, not by a password.',
    )
  }
  const safes = octets(inner(data))
  const work = passwords.work ?? createPasswordWork()
  const candidates = mac
    ? [passwordOfMac(mac, safes, { given: passwords.password, work })]
    : candidatesFor(passwords.password)
  let refused: ImportRefused | undefined
  for (const password of candidates) {
    try {
      const store = readSafes(safes, { ...passwords, password, work })
      if (store.sealed.length === 0 || password === candidates.at(-1)) return store
    } catch (error) {
      if (!(error instanceof ImportRefused) || codeOf(error) !== 'password_wrong') throw error
      refused = error
    }
  }
  throw passwords.password === undefined ? passwordMissing() : (refused ?? passwordWrong())
}

/** Makes the refusal of an encrypted input for which no password was given. */
export function passwordMissing() {
  return refusal(
    'password_missing',
    'It is encrypted, and no password is given. Give it; it may be the empty password.',
  )
}

/** Passwords to try. Programs confuse an empty password (two zero bytes) with none (no bytes). */
function candidatesFor(password: string | undefined): readonly (string | undefined)[] {
  if (password === undefined) return [undefined, '']
  return password === '' ? ['', undefined] : [password]
}

function passwordOfMac(
  mac: Der,
  safes: Buffer,
  { given, work }: { readonly given: string | undefined; readonly work: PasswordWork },
): string | undefined {
  const candidates = candidatesFor(given)
  const found = candidates.findIndex((password) => macFits(mac, safes, { password, work }))
  if (found >= 0) return candidates[found]
  if (given === undefined) throw passwordMissing()
  throw refusal(
    'password_wrong',
    'The password is wrong, or the store was changed: its MAC does not fit.',
  )
}

function macFits(
  mac: Der,
  safes: Buffer,
  { password, work }: { readonly password: string | undefined; readonly work: PasswordWork },
): boolean {
  const [info, salt, iterations] = children(mac)
  const [algorithm, expected] = children(info)
  const [kind, parameters] = children(algorithm)
  const given = octets(expected)
  const oid = objectId(kind)
  let ours: Buffer
  if (oid === PBMAC1) {
    if (password === undefined) return false
    const [derivation, scheme] = children(parameters)
    const key = pbkdf2(children(derivation)[1], { password, work }, 32)
    ours = createHmac(hmacDigest(objectId(children(scheme)[0])), key)
      .update(safes)
      .digest()
  } else {
    const digest = HASHES[oid]
    if (!digest) {
      throw refusal(
        'encryption_unsupported',
        `The MAC of the store is of an unknown kind (${oid}).`,
      )
    }
    const key = pkcs12Derive({
      password: bmpPassword(password),
      salt: octets(salt),
      iterations: macRounds(iterations, work),
      digest,
      purpose: PURPOSE.mac,
      length: { sha1: 20, sha224: 28, sha256: 32, sha384: 48 }[digest] ?? 64,
    })
    ours = createHmac(digest, key).update(safes).digest()
  }
  return ours.length === given.length && timingSafeEqual(ours, given)
}

/** Passwords, with the limit of the work on them. */
type Opening = KeystorePasswords & { readonly work: PasswordWork }

function readSafes(safes: Buffer, passwords: Opening): Keystore {
  const found = { keys: [], sealed: [], certificates: [] } as Found
  for (const safe of children(readDer(safes))) {
    const [kind, wrapped] = children(safe)
    const oid = objectId(kind)
    if (oid === DATA) readBags(readDer(octets(inner(wrapped))), passwords, found, 0)
    else if (oid === ENCRYPTED_DATA) {
      const [, content] = children(inner(wrapped))
      const [, algorithm, encrypted] = children(content)
      const clear = decryptByPassword(algorithm, octets(encrypted), passwords)
      readBags(
        decrypted(() => readDer(clear)),
        passwords,
        found,
        0,
      )
    } else {
      throw refusal(
        'format_unsupported',
        'A part of the store is sealed for a public key, not by a password.',
      )
    }
  }
  return found
}

interface Found {
  keys: KeystoreKey[]
  sealed: { alias: string | undefined; refused: ImportRefused }[]
  certificates: FoundCertificate[]
}

function readBags(bags: Der, passwords: Opening, found: Found, depth: number): void {
  if (depth > DEPTH_MAX)
    throw refusal('input_malformed', 'The bags of the store are nested too deep.')
  for (const bag of children(bags)) {
    if (found.keys.length + found.sealed.length + found.certificates.length > BAGS_MAX) {
      throw refusal('input_too_large', `The store has more than ${BAGS_MAX} entries.`)
    }
    const [kind, wrapped, attributes] = children(bag)
    const value = inner(wrapped)
    const named = names(attributes)
    switch (objectId(kind)) {
      case BAG.key:
        found.keys.push({ ...named, ...privateMembers(toDer(value)) })
        break
      case BAG.shroudedKey:
        readShrouded(value, named, passwords, found)
        break
      case BAG.certificate: {
        const certificate = x509(value)
        if (certificate) found.certificates.push({ ...named, certificate })
        break
      }
      case BAG.nested:
        readBags(value, passwords, found, depth + 1)
        break
      default:
      // Revocation lists and secrets are no keys of an issuer.
    }
  }
}

/** Reads an encrypted key. A key with an unknown password is named and does not affect others. */
function readShrouded(
  value: Der,
  named: { readonly alias?: string; readonly localKeyId?: string },
  { password, keyPassword, work }: Opening,
  found: Found,
): void {
  const [algorithm, encrypted] = children(value)
  const tries = keyPassword === undefined ? [password] : [keyPassword, password]
  let refused: ImportRefused | undefined
  for (const candidate of tries) {
    try {
      const secret = { password: candidate, work }
      const clear = decryptByPassword(algorithm, octets(encrypted), secret)
      const form = decrypted(() => readDer(clear))
      if (!isSequence(form) || !isSequence(children(form)[1])) throw passwordWrong()
      found.keys.push({ ...named, ...privateMembers(clear) })
      return
    } catch (error) {
      if (!(error instanceof ImportRefused)) throw error
      refused ??= error
    }
  }
  if (refused) found.sealed.push({ alias: named.alias, refused })
}

/** Reads decrypted bytes, which under a wrong password are no ASN.1, even if the padding fits. */
function decrypted<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof ImportRefused ? passwordWrong() : error
  }
}

function x509(value: Der): FoundCertificate['certificate'] | undefined {
  const [kind, wrapped] = children(value)
  return objectId(kind) === X509 ? parseCertificate(octets(inner(wrapped))) : undefined
}

function names(attributes: Der | undefined): { alias?: string; localKeyId?: string } {
  const found: { alias?: string; localKeyId?: string } = {}
  for (const attribute of attributes ? children(attributes) : []) {
    const [kind, values] = children(attribute)
    if (!isObjectId(kind)) continue
    const [value] = children(values)
    if (objectId(kind) === FRIENDLY_NAME) found.alias = bmpText(value)
    if (objectId(kind) === LOCAL_KEY_ID) found.localKeyId = octets(value).toString('hex')
  }
  return found
}
