import { hash, timingSafeEqual } from 'node:crypto'
import { ImportRefused } from '../errors.ts'
import { type FoundCertificate, parseCertificate } from './certificates.ts'
import { children, objectId, octets, readDer } from './der.ts'
import { privateMembers } from './key-der.ts'
import { type Keystore, type KeystorePasswords, passwordMissing } from './pkcs12.ts'
import { refusal } from './refusal.ts'

/** Keystore of Java before PKCS#12, as the JDK reads it (sun.security.provider.JavaKeyStore). */

const MAGIC = 0xfeedfeed
const JCEKS_MAGIC = 0xcececece
/** Text after the password in the digest that guards the whole file. */
const WHITENER = 'Mighty Aphrodite'
/** Identifier of the encryption of each key, in its AlgorithmIdentifier. */
const KEY_PROTECTOR = '1.3.6.1.4.1.42.2.17.1.1'
const SHA1_BYTES = 20
const ENTRIES_MAX = 2000
const CHAIN_MAX = 20
const TAG = { key: 1, certificate: 2 } as const

/** True if a file begins like a JKS or JCEKS keystore. */
export function looksLikeJks(bytes: Buffer): boolean {
  return bytes.length >= 4 && [MAGIC, JCEKS_MAGIC].includes(bytes.readUInt32BE(0))
}

/**
 * Opens a keystore.
 * @throws ImportRefused `password_missing`, `password_wrong`, `input_malformed`, `input_truncated`,
 * `format_unsupported` for JCEKS
 */
export function readJks(bytes: Buffer, passwords: KeystorePasswords): Keystore {
  if (bytes.readUInt32BE(0) === JCEKS_MAGIC) {
    throw refusal(
      'format_unsupported',
      'It is a JCEKS keystore, which is not read. Convert it: keytool -importkeystore -srcstoretype JCEKS ' +
        '-srckeystore FILE -deststoretype PKCS12 -destkeystore FILE.p12',
    )
  }
  if (passwords.password === undefined) throw passwordMissing()
  if (bytes.length < 12 + SHA1_BYTES) throw truncated()
  const content = bytes.subarray(0, -SHA1_BYTES)
  const guard = sha1(utf16(passwords.password), Buffer.from(WHITENER), content)
  if (!timingSafeEqual(guard, bytes.subarray(-SHA1_BYTES))) {
    throw refusal(
      'password_wrong',
      'The password is wrong, or the store was changed: its digest does not fit.',
    )
  }
  return readEntries(cursorOf(content), passwords)
}

function readEntries(cursor: Cursor, passwords: KeystorePasswords): Keystore {
  cursor.take(4)
  const version = cursor.number()
  const entries = cursor.number()
  if (entries > ENTRIES_MAX) {
    throw refusal('input_too_large', `The store has more than ${ENTRIES_MAX} entries.`)
  }
  const store = { keys: [], sealed: [], certificates: [] } as {
    -readonly [K in keyof Keystore]: Keystore[K][number][]
  }
  for (let entry = 0; entry < entries; entry++) {
    const tag = cursor.number()
    const alias = cursor.text()
    // The date of the entry is skipped, because the JDK does not say what it means.
    cursor.take(8)
    if (tag === TAG.certificate) {
      store.certificates.push({ alias, ...readCertificate(cursor, version) })
    } else if (tag === TAG.key) {
      const encrypted = cursor.take(cursor.number())
      const length = cursor.number()
      if (length > CHAIN_MAX) throw refusal('input_malformed', 'A chain in the store is too long.')
      const certificates = Array.from({ length }, () => readCertificate(cursor, version))
      try {
        const key = privateMembers(openKey(encrypted, passwords))
        store.keys.push({ alias, certificates, ...key })
      } catch (error) {
        if (!(error instanceof ImportRefused)) throw error
        store.sealed.push({ alias, refused: error })
      }
    } else throw refusal('input_malformed', 'The store has an entry of an unknown kind.')
  }
  return store
}

function readCertificate(cursor: Cursor, version: number): FoundCertificate {
  if (version !== 1) cursor.text()
  return { certificate: parseCertificate(cursor.take(cursor.number())) }
}

function openKey(encrypted: Buffer, { password, keyPassword }: KeystorePasswords): Buffer {
  const [algorithm, sealed] = children(readDer(encrypted))
  if (objectId(children(algorithm)[0]) !== KEY_PROTECTOR) {
    throw refusal('encryption_unsupported', 'The key is encrypted by an unknown method.')
  }
  const bytes = octets(sealed)
  if (bytes.length <= 2 * SHA1_BYTES) throw truncated()
  for (const candidate of [keyPassword, password]) {
    const clear = candidate === undefined ? undefined : unmasked(bytes, utf16(candidate))
    if (clear) return clear
  }
  throw refusal(
    'password_wrong',
    'The store opens and the key does not, because it has a password of its own. Give it, too.',
  )
}

/**
 * Decrypts a key: salt, the key under a chain of digests, and a digest of the key (JDK,
 * KeyProtector).
 */
function unmasked(bytes: Buffer, password: Buffer): Buffer | undefined {
  let mask = bytes.subarray(0, SHA1_BYTES)
  const clear = Buffer.from(bytes.subarray(SHA1_BYTES, -SHA1_BYTES))
  for (let at = 0; at < clear.length; at++) {
    if (at % SHA1_BYTES === 0) mask = sha1(password, mask)
    clear[at] = (clear[at] ?? 0) ^ (mask[at % SHA1_BYTES] ?? 0)
  }
  return timingSafeEqual(sha1(password, clear), bytes.subarray(-SHA1_BYTES)) ? clear : undefined
}

interface Cursor {
  take(length: number): Buffer
  /** Reads a number of four bytes. */
  number(): number
  /**
   * Reads text in Java's modified UTF-8. Aliases that are not plain UTF-8 are shown as they come.
   */
  text(): string
}

function cursorOf(bytes: Buffer): Cursor {
  let at = 0
  const take = (length: number) => {
    if (at + length > bytes.length) throw truncated()
    at += length
    return bytes.subarray(at - length, at)
  }
  return {
    take,
    number: () => take(4).readUInt32BE(0),
    text: () => take(take(2).readUInt16BE(0)).toString('utf8'),
  }
}

function utf16(password: string): Buffer {
  return Buffer.from(password, 'utf16le').swap16()
}

function sha1(...parts: readonly Uint8Array[]): Buffer {
  return hash('sha1', Buffer.concat(parts), 'buffer')
}

function truncated() {
  return refusal('input_truncated', 'The keystore ends too early: it is half-written.')
}
