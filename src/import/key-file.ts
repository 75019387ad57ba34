import { buildKey } from './build-key.ts'
import { type FoundCertificate, parseCertificate } from './certificates.ts'
import { children, looksLikeDer, octets, readDer, tryDer } from './der.ts'
import { assertSomething, type Imported, type ImportedKey, withoutTwins } from './imported-key.ts'
import { assertSize, decodeText, KEY_FILE_BYTES_MAX, parseJson } from './input.ts'
import { looksLikeJks, readJks } from './jks.ts'
import { decryptJwe, isJwe, looksLikeJwe } from './jwe.ts'
import { readJwks } from './jwk-set.ts'
import { type DerForm, formOf, privateMembers, publicMembers } from './key-der.ts'
import { type KeystoreContext, keystoreKeys } from './keystore-keys.ts'
import {
  createPasswordWork,
  decryptByPassword,
  decryptLegacyPem,
  type PasswordWork,
  passwordWrong,
} from './password-encryption.ts'
import { looksLikePem, type PemBlock, pemBlocks } from './pem.ts'
import {
  type Keystore,
  type KeystoreKey,
  type KeystorePasswords,
  passwordMissing,
  readPkcs12,
} from './pkcs12.ts'
import { refusal } from './refusal.ts'

export interface KeyFileOptions extends KeystorePasswords {
  /** Name of the file, for messages. */
  readonly name: string
  /** Alias of the only entry to read from a keystore. */
  readonly alias?: string | undefined
  /** Seconds since the epoch; expired certificates are left out. */
  readonly now: number
}

const CONVERT_OPENSSH =
  'It is in the format of OpenSSH. Make a copy of the file and convert that: ssh-keygen -p -m PKCS8 -f COPY'

/** Labels of PEM blocks without a usable key, with what to do. */
const REFUSED_LABELS: Readonly<Record<string, string>> = {
  'OPENSSH PRIVATE KEY': CONVERT_OPENSSH,
  'SSH2 PUBLIC KEY':
    'It is a public key in the format of SSH. Convert it: ssh-keygen -e -m PKCS8 -f FILE',
  'SSH2 ENCRYPTED PRIVATE KEY': CONVERT_OPENSSH,
  'DSA PRIVATE KEY': 'It is a key of DSA, which JOSE does not have.',
  'PGP PRIVATE KEY BLOCK': 'It is a key of OpenPGP.',
  'TRUSTED CERTIFICATE':
    'It is a certificate with trust settings. Convert it: openssl x509 -in FILE',
  PKCS7: 'It is a collection of certificates. Convert it: openssl pkcs7 -print_certs -in FILE',
}

/**
 * Reads a file with keys: JWK and JWK Set (also encrypted under a password), PEM and DER (PKCS#8,
 * PKCS#1, SEC 1, SPKI, X.509, each encrypted or not), PKCS#12 and JKS. The format is told by the
 * content, not by the file's name. Keys without a private half, and certificates without a key, are
 * keys for validation.
 * @throws ImportRefused with a code of `refusal.ts`
 */
export async function readKeyFile(bytes: Uint8Array, options: KeyFileOptions): Promise<Imported> {
  assertSize(bytes, KEY_FILE_BYTES_MAX, options.name)
  const buffer = Buffer.from(bytes)
  const imported = await readAny(buffer, { ...options, work: options.work ?? createPasswordWork() })
  assertSomething(imported, options.name)
  return imported
}

/** Options with the limit of work on passwords for the whole file. */
type Reading = KeyFileOptions & { readonly work: PasswordWork }

async function readAny(bytes: Buffer, options: Reading): Promise<Imported> {
  if (looksLikeJks(bytes)) return keystoreKeys(readJks(bytes, options), context(options))
  if (looksLikeDer(bytes)) return readParts([{ label: '', der: bytes }], options)
  const text = decodeText(bytes, options.name)
  if (text.trim() === '') throw refusal('input_empty', `${options.name} is empty.`)
  if (looksLikePem(text)) return readParts(pemBlocks(text, options.name), options)
  if (looksLikeJwe(text)) return readJson(await decryptJwe(text, options), options)
  if (/^(ssh-(rsa|ed25519|dss)|ecdsa-sha2-)/.test(text)) {
    throw refusal('format_unsupported', `${options.name}: ${REFUSED_LABELS['SSH2 PUBLIC KEY']}`)
  }
  if (/^\s*[{["]/.test(text)) return readJson(text, options)
  throw refusal(
    'input_malformed',
    `${options.name} has no key: it is neither JSON, PEM, DER, PKCS#12 nor JKS. It may be damaged.`,
  )
}

async function readJson(json: string | Uint8Array, options: Reading): Promise<Imported> {
  const text = typeof json === 'string' ? json : decodeText(json, options.name)
  const value = parseJson(text, options.name)
  if (!isJwe(value)) return readJwks(value, { source: options.name })
  const clear = await decryptJwe(value, options)
  return readJwks(parseJson(decodeText(clear, options.name), options.name), {
    source: options.name,
  })
}

/** Reads the parts of a file and brings keys and certificates together. */
async function readParts(parts: readonly PemBlock[], options: Reading): Promise<Imported> {
  const keys: KeystoreKey[] = []
  const certificates: FoundCertificate[] = []
  const publicKeys: ImportedKey[] = []
  for (const part of parts) {
    if (part.label === 'EC PARAMETERS') continue
    const refused = REFUSED_LABELS[part.label]
    if (refused) throw refusal('format_unsupported', `${options.name}: ${refused}`)
    const { form, der } = opened(part, options)
    switch (form) {
      case 'pkcs12':
        return keystoreKeys(readPkcs12(der, options), context(options))
      case 'certificate':
        certificates.push({ certificate: parseCertificate(der) })
        break
      case 'certificate-request':
        throw refusal(
          'format_unsupported',
          `${options.name} is a certificate request, which has no key to sign with. Give the file with the private key.`,
          { isHarmless: true },
        )
      case 'spki':
      case 'pkcs1-public':
        publicKeys.push(await buildKey({ ...publicMembers(der), source: options.name }))
        break
      case undefined:
      case 'encrypted-pkcs8':
        throw refusal(
          'input_malformed',
          `${options.name} has no key in a form that is known: it may be damaged.`,
        )
      default:
        keys.push(privateMembers(der))
    }
  }
  if (keys.length === 0 && publicKeys.length > 0 && certificates.length === 0) {
    return withoutTwins(publicKeys)
  }
  const store: Keystore = { keys, sealed: [], certificates }
  const imported = await keystoreKeys(store, context(options))
  const single = withoutTwins([...imported.keys, ...publicKeys])
  return { keys: single.keys, left: [...imported.left, ...single.left] }
}

/** Decrypts a part if it is encrypted. */
function opened(
  part: PemBlock,
  { password, work }: Reading,
): { form: DerForm | undefined; der: Buffer } {
  if (part.dekInfo !== undefined) {
    if (password === undefined) throw passwordMissing()
    return decryptedKey(decryptLegacyPem(part.dekInfo, part.der, password))
  }
  const der = readDer(part.der)
  const form = formOf(der)
  if (form !== 'encrypted-pkcs8') return { form, der: part.der }
  if (password === undefined) throw passwordMissing()
  const [algorithm, encrypted] = children(der)
  return decryptedKey(decryptByPassword(algorithm, octets(encrypted), { password, work }))
}

/**
 * Checks that a decrypted part is a key, because with a wrong password the padding is right by
 * chance once in 256 times.
 */
function decryptedKey(der: Buffer): { form: DerForm; der: Buffer } {
  const value = tryDer(der)
  const form = value && formOf(value)
  if (form !== 'pkcs8' && form !== 'pkcs1' && form !== 'sec1') throw passwordWrong()
  return { form, der }
}

function context({ name, alias, now }: KeyFileOptions): KeystoreContext {
  return { source: name, alias, now }
}
