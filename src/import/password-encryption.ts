import { createDecipheriv, hash, pbkdf2Sync, scryptSync } from 'node:crypto'
import forge from 'node-forge'
import { children, type Der, isInteger, objectId, octets, smallInteger } from './der.ts'
import { bmpPassword, PURPOSE, pkcs12Derive } from './pkcs12-kdf.ts'
import { refusal } from './refusal.ts'

/** Encryption under a password: PKCS#5 (RFC 8018), PKCS#12 (RFC 7292), and OpenSSL's PEM. */

/** Most rounds for a password; today's files have up to a million. */
const ROUNDS_MAX = 5_000_000
/**
 * Most rounds of PKCS#12, fewer because each round is one call from here, not one inside OpenSSL.
 */
const PKCS12_ROUNDS_MAX = 600_000
/** Most bytes of memory for scrypt. */
const SCRYPT_BYTES_MAX = 128 * 1024 * 1024
/**
 * Most rounds for all parts of a file together, because a file may have hundreds with a password.
 */
const ROUNDS_IN_ALL = 12_000_000
/**
 * Most rounds for all files of a source; a thousand stores as IdentityServer makes them need a
 * third of them.
 */
const ROUNDS_OF_SOURCE = 300_000_000
/**
 * Rounds of PBKDF2 that take as long as one round of PKCS#12 for a key and an initialization
 * vector.
 */
const PKCS12_ROUND = 9

const PBES2 = '1.2.840.113549.1.5.13'
const PBKDF2 = '1.2.840.113549.1.5.12'
const SCRYPT = '1.3.6.1.4.1.11591.4.11'

/** Hashes of the HMACs of PBKDF2, as node:crypto names them. */
const HMACS: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
  '1.2.840.113549.2.12': 'sha512-224',
  '1.2.840.113549.2.13': 'sha512-256',
}
const CIPHERS: Readonly<Record<string, readonly [string, number]>> = {
  '1.2.840.113549.3.7': ['des-ede3-cbc', 24],
  '2.16.840.1.101.3.4.1.2': ['aes-128-cbc', 16],
  '2.16.840.1.101.3.4.1.22': ['aes-192-cbc', 24],
  '2.16.840.1.101.3.4.1.42': ['aes-256-cbc', 32],
  '1.2.392.200011.61.1.1.1.2': ['camellia-128-cbc', 16],
  '1.2.392.200011.61.1.1.1.3': ['camellia-192-cbc', 24],
  '1.2.392.200011.61.1.1.1.4': ['camellia-256-cbc', 32],
  '1.2.410.200046.1.1.2': ['aria-128-cbc', 16],
  '1.2.410.200046.1.1.7': ['aria-192-cbc', 24],
  '1.2.410.200046.1.1.12': ['aria-256-cbc', 32],
}
/** Encryptions of PKCS#12 (RFC 7292, appendix C), with the bytes of their keys. */
const PKCS12_CIPHERS: Readonly<Record<string, readonly ['3des' | 'rc2', number]>> = {
  '1.2.840.113549.1.12.1.3': ['3des', 24],
  '1.2.840.113549.1.12.1.4': ['3des', 16],
  '1.2.840.113549.1.12.1.5': ['rc2', 16],
  '1.2.840.113549.1.12.1.6': ['rc2', 5],
}
const REFUSED: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.5.1': 'MD2 and single DES',
  '1.2.840.113549.1.5.3': 'MD5 and single DES',
  '1.2.840.113549.1.5.4': 'MD2 and RC2',
  '1.2.840.113549.1.5.6': 'MD5 and RC2',
  '1.2.840.113549.1.5.10': 'SHA-1 and single DES',
  '1.2.840.113549.1.5.11': 'SHA-1 and RC2',
  '1.2.840.113549.1.12.1.1': 'RC4',
  '1.2.840.113549.1.12.1.2': 'RC4',
}

/** Counts the work on passwords for all parts of a file together. */
export interface PasswordWork {
  /** Adds rounds of work. @throws ImportRefused `input_too_large` if a file asks for too much */
  spend(rounds: number): void
}

/**
 * Makes the limit of work for one file.
 * @param source limit for all files of the source, if it has others
 */
export function createPasswordWork(source?: PasswordWork): PasswordWork {
  let left = ROUNDS_IN_ALL
  return {
    spend: (rounds) => {
      left -= rounds
      if (left < 0) throw tooMuchWork()
      source?.spend(rounds)
    },
  }
}

/** Makes the limit of work for all files or records of a source, which they share. */
export function createSourceWork(): PasswordWork {
  let left = ROUNDS_OF_SOURCE
  return {
    spend: (rounds) => {
      left -= rounds
      if (left >= 0) return
      throw refusal(
        'input_too_large',
        'The passwords of this source are to be worked on for minutes, and not all of it was read. Import it in ' +
          'parts, or encrypt it anew with fewer rounds.',
      )
    },
  }
}

/**
 * Decrypts by the method of an AlgorithmIdentifier.
 * @param password undefined for none, which only PKCS#12's own derivation distinguishes from an
 * empty one
 * @throws ImportRefused `password_wrong`, `encryption_unsupported`, `input_too_large`
 */
export function decryptByPassword(
  algorithm: Der | undefined,
  encrypted: Uint8Array,
  { password, work }: { readonly password?: string | undefined; readonly work: PasswordWork },
): Buffer {
  const [kind, parameters] = children(algorithm)
  const oid = objectId(kind)
  if (oid === PBES2) return pbes2(parameters, encrypted, { password: password ?? '', work })
  const [name, length] = PKCS12_CIPHERS[oid] ?? []
  if (!name || !length) throw unsupported(oid)
  const [salt, iterations] = children(parameters)
  const derivation = {
    password: bmpPassword(password),
    salt: octets(salt),
    iterations: pkcs12Rounds(iterations, work),
    digest: 'sha1',
  }
  const key = pkcs12Derive({ ...derivation, purpose: PURPOSE.key, length })
  const iv = pkcs12Derive({ ...derivation, purpose: PURPOSE.iv, length: 8 })
  if (name === 'rc2') return rc2(key, iv, encrypted)
  // 3DES with two keys uses the first one again as the third.
  const whole = length === 16 ? Buffer.concat([key, key.subarray(0, 8)]) : key
  return decipher('des-ede3-cbc', whole, iv, encrypted)
}

/**
 * Derives a key by PBKDF2 with its parameters.
 * @param length used if the parameters have none
 */
export function pbkdf2(
  parameters: Der | undefined,
  { password, work }: Secret,
  length: number,
): Buffer {
  const [salt, iterations, ...rest] = children(parameters)
  const own = isInteger(rest[0]) ? smallInteger(rest.shift()) : length
  const hmac = rest[0] ? objectId(children(rest[0])[0]) : '1.2.840.113549.2.7'
  const digest = HMACS[hmac] ?? refuseEncryption(hmac)
  if (own === 0 || own > 64)
    throw refusal('input_malformed', 'The length of a derived key is wrong.')
  const count = rounds(iterations, ROUNDS_MAX)
  work.spend(count)
  return pbkdf2Sync(password, octets(salt), count, own, digest)
}

/** Hash of an HMAC, as node:crypto names it. */
export function hmacDigest(oid: string): string {
  return HMACS[oid] ?? refuseEncryption(oid)
}

/** Number of rounds of a MAC, 1 if it is absent. @throws ImportRefused `input_too_large` */
export function macRounds(der: Der | undefined, work: PasswordWork): number {
  return der === undefined ? 1 : pkcs12Rounds(der, work)
}

/**
 * Decrypts a PEM block with `DEK-Info`, whose key is derived by one round of MD5 (OpenSSL's
 * EVP_BytesToKey).
 * @param dekInfo such as `AES-128-CBC,9F...`
 */
export function decryptLegacyPem(dekInfo: string, encrypted: Uint8Array, password: string): Buffer {
  const [, name, hex] = /^\s*([\w-]{1,20}),\s*((?:[0-9A-F]{2}){8,16})\s*$/i.exec(dekInfo) ?? []
  const cipher = name?.toLowerCase() ?? ''
  const [, length] = Object.values(CIPHERS).find(([known]) => known === cipher) ?? []
  if (!length || !hex) throw unsupported(name ?? 'DEK-Info')
  const iv = Buffer.from(hex, 'hex')
  if (iv.length !== (cipher === 'des-ede3-cbc' ? 8 : 16)) {
    throw refusal('input_malformed', 'The DEK-Info of the PEM block is damaged.')
  }
  const secret = Buffer.concat([Buffer.from(password), iv.subarray(0, 8)])
  const parts = [hash('md5', secret, 'buffer')]
  while (parts.length * 16 < length) {
    parts.push(hash('md5', Buffer.concat([parts.at(-1) ?? secret, secret]), 'buffer'))
  }
  return decipher(cipher, Buffer.concat(parts).subarray(0, length), iv, encrypted)
}

/** Makes the refusal of a wrong password, which only the padding or the decrypted bytes reveal. */
export function passwordWrong() {
  return refusal(
    'password_wrong',
    'The password does not open it: it is another one, or the file was changed.',
  )
}

interface Secret {
  readonly password: string
  readonly work: PasswordWork
}

function pbes2(parameters: Der | undefined, encrypted: Uint8Array, secret: Secret): Buffer {
  const [derivation, scheme] = children(parameters)
  const [kind, details] = children(derivation)
  const [cipherKind, iv] = children(scheme)
  const oid = objectId(cipherKind)
  const [cipher, length] = CIPHERS[oid] ?? []
  if (!cipher || !length) throw unsupported(oid)
  const derive = { [PBKDF2]: pbkdf2, [SCRYPT]: scrypt }[objectId(kind)]
  if (!derive) throw unsupported(objectId(kind))
  const key = derive(details, secret, length)
  if (key.length !== length)
    throw refusal('input_malformed', 'The length of a derived key is wrong.')
  return decipher(cipher, key, octets(iv), encrypted)
}

function scrypt(parameters: Der | undefined, { password, work }: Secret, length: number): Buffer {
  const [salt, cost, blockSize, parallelization] = children(parameters)
  const N = smallInteger(cost)
  const r = smallInteger(blockSize)
  const p = smallInteger(parallelization)
  if (N * r * 128 > SCRYPT_BYTES_MAX || N * r * p > 2 ** 22) throw tooMuchWork()
  // A block of scrypt takes as long as a round of PBKDF2.
  work.spend(N * r * p)
  try {
    return scryptSync(password, octets(salt), length, { N, r, p, maxmem: 2 * SCRYPT_BYTES_MAX })
  } catch {
    throw refusal('input_malformed', 'The parameters of scrypt are wrong: the file is damaged.')
  }
}

function pkcs12Rounds(der: Der | undefined, work: PasswordWork): number {
  const count = rounds(der, PKCS12_ROUNDS_MAX)
  work.spend(count * PKCS12_ROUND)
  return count
}

function rounds(der: Der | undefined, max: number): number {
  const count = smallInteger(der)
  if (count === 0)
    throw refusal('input_malformed', 'The number of rounds is 0: the file is damaged.')
  if (count > max) throw tooMuchWork()
  return count
}

function decipher(name: string, key: Buffer, iv: Buffer, encrypted: Uint8Array): Buffer {
  try {
    const cipher = createDecipheriv(name, key, iv)
    return Buffer.concat([cipher.update(encrypted), cipher.final()])
  } catch {
    throw passwordWrong()
  }
}

/** Decrypts RC2 in CBC. OpenSSL has RC2 only in its legacy provider, which Node does not load. */
function rc2(key: Buffer, iv: Buffer, encrypted: Uint8Array): Buffer {
  const cipher = forge.rc2.createDecryptionCipher(key.toString('latin1'), key.length * 8)
  cipher.start(iv.toString('latin1'))
  cipher.update(forge.util.createBuffer(Buffer.from(encrypted).toString('latin1')))
  if (!cipher.finish()) throw passwordWrong()
  return Buffer.from(cipher.output.getBytes(), 'latin1')
}

function refuseEncryption(name: string): never {
  throw unsupported(name)
}

function unsupported(name: string) {
  return refusal(
    'encryption_unsupported',
    `It is encrypted with ${REFUSED[name] ?? `an unknown method (${name})`}, which is not read. Encrypt it anew: ` +
      'openssl pkcs8 -topk8 -v2 aes-256-cbc, for PKCS#12 openssl pkcs12 -legacy and then -export.',
  )
}

function tooMuchWork() {
  return refusal(
    'input_too_large',
    'Its password is to be worked on for longer than Keyturn does. Encrypt it anew with fewer rounds.',
  )
}
