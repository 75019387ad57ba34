import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  X509Certificate,
} from 'node:crypto'
import { KeyProblem } from './problem.ts'
import { attributeOf, childOf, parseXml, textOf, type XmlElement, XmlRefused } from './xml.ts'

/**
 * XML Encryption as .NET's `EncryptedXml` does it for a ring: the secret is encrypted by AES-CBC
 * under its own key, and that key by RSA for a certificate, which is included whole.
 */

export const XMLENC = 'http://www.w3.org/2001/04/xmlenc#'
export const XMLDSIG = 'http://www.w3.org/2000/09/xmldsig#'

/** A certificate with its private key. */
export interface Certificate {
  /** Certificate in DER. */
  readonly certificate: Uint8Array
  readonly privateKey: KeyObject
}

const CONTENT_CIPHERS: Readonly<Record<string, { cipher: string; keyBytes: number }>> = {
  [`${XMLENC}aes128-cbc`]: { cipher: 'aes-128-cbc', keyBytes: 16 },
  [`${XMLENC}aes192-cbc`]: { cipher: 'aes-192-cbc', keyBytes: 24 },
  [`${XMLENC}aes256-cbc`]: { cipher: 'aes-256-cbc', keyBytes: 32 },
}
const RSA_1_5 = `${XMLENC}rsa-1_5`
const RSA_OAEP = `${XMLENC}rsa-oaep-mgf1p`
const BLOCK = 16

/**
 * Decrypts the element in `EncryptedData`.
 * @throws KeyProblem `certificate_missing`, `algorithm_unknown`, `secret_undecryptable`
 */
export function decryptXml(data: XmlElement, certificates: readonly Certificate[]): XmlElement {
  const content = CONTENT_CIPHERS[algorithmOf(data)]
  if (!content) throw unknownAlgorithm(data)
  const encryptedKey = childOf(keyInfoOf(data), 'EncryptedKey', XMLENC)
  if (!encryptedKey) throw damaged('it has no encrypted key')
  const transport = algorithmOf(encryptedKey)
  if (transport !== RSA_1_5 && transport !== RSA_OAEP) throw unknownAlgorithm(encryptedKey)

  const { privateKey } = findCertificate(encryptedKey, certificates)
  const key = unwrap(cipherValue(encryptedKey), privateKey, transport)
  // With RSA PKCS#1 v1.5, a wrong key gives no error but random bytes of a random length.
  if (key?.length !== content.keyBytes) throw damaged('the certificate does not open its key')
  const plain = decryptContent(cipherValue(data), { ...content, key })
  if (!plain) throw damaged('its padding is wrong')
  try {
    return parseXml(new TextDecoder('utf-8', { fatal: true }).decode(plain))
  } catch (error) {
    if (error instanceof XmlRefused || error instanceof TypeError)
      throw damaged('it is no XML inside')
    throw error
  }
}

/** Values of `CipherValue` for the content and for its key, as .NET itself writes them. */
export interface Encrypted {
  readonly content: Buffer
  readonly wrappedKey: Buffer
}

/** Encrypts by AES-256-CBC with the padding of ISO 10126, and RSA PKCS#1 v1.5, as .NET does. */
export function encryptXml(text: string, certificate: Uint8Array): Encrypted {
  const key = randomBytes(32)
  const iv = randomBytes(BLOCK)
  const plain = Buffer.from(text)
  const padding = randomBytes(BLOCK - (plain.length % BLOCK))
  padding[padding.length - 1] = padding.length
  const cipher = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  const content = Buffer.concat([iv, cipher.update(plain), cipher.update(padding), cipher.final()])
  const { publicKey } = new X509Certificate(certificate)
  const wrappedKey = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, key)
  return { content, wrappedKey }
}

/**
 * Finds a certificate by all of its bytes, as .NET does. A renewed certificate with the same key
 * does not match.
 */
function findCertificate(
  encryptedKey: XmlElement,
  certificates: readonly Certificate[],
): Certificate {
  const x509 = childOf(keyInfoOf(encryptedKey), 'X509Data', XMLDSIG)
  const text = x509 && childOf(x509, 'X509Certificate', XMLDSIG)
  const wanted = text && decodeBase64(textOf(text))
  if (!wanted) throw damaged('it names no certificate')
  const found = certificates.find(({ certificate }) => wanted.equals(certificate))
  if (found) return found
  throw new KeyProblem(
    'certificate_missing',
    `Its secret is encrypted for the certificate ${describeCertificate(wanted)}, which is not among those given. ` +
      'Add the file of that certificate with its private key; a renewed certificate does not open it, ' +
      'even with the same key.',
  )
}

function describeCertificate(der: Uint8Array): string {
  try {
    const { fingerprint256, subject } = new X509Certificate(der)
    const name = subject.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 100)
    return `"${name}" (SHA-256 ${fingerprint256.replaceAll(':', '').toLowerCase()})`
  } catch {
    return 'that stands there, which is damaged'
  }
}

function unwrap(wrapped: Buffer, key: KeyObject, transport: string): Buffer | undefined {
  try {
    return transport === RSA_OAEP
      ? privateDecrypt(
          { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' },
          wrapped,
        )
      : privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, wrapped)
  } catch {
    return undefined
  }
}

/**
 * Decrypts the content. The last byte is the number of bytes of padding, whatever they contain (ISO
 * 10126, PKCS#7).
 */
function decryptContent(
  data: Buffer,
  { cipher, key }: { readonly cipher: string; readonly key: Buffer },
): Buffer | undefined {
  if (data.length < 2 * BLOCK || data.length % BLOCK !== 0) return undefined
  const decipher = createDecipheriv(cipher, key, data.subarray(0, BLOCK)).setAutoPadding(false)
  const padded = Buffer.concat([decipher.update(data.subarray(BLOCK)), decipher.final()])
  const padding = padded.at(-1) ?? 0
  return padding < 1 || padding > BLOCK ? undefined : padded.subarray(0, -padding)
}

function algorithmOf(element: XmlElement): string {
  const method = childOf(element, 'EncryptionMethod', XMLENC)
  return (method && attributeOf(method, 'Algorithm')) ?? ''
}

function keyInfoOf(element: XmlElement): XmlElement {
  const info = childOf(element, 'KeyInfo', XMLDSIG)
  if (!info) throw damaged('it does not say how it is encrypted')
  return info
}

function cipherValue(element: XmlElement): Buffer {
  const data = childOf(element, 'CipherData', XMLENC)
  const value = data && childOf(data, 'CipherValue', XMLENC)
  const bytes = value && decodeBase64(textOf(value))
  if (!bytes) throw damaged('its encrypted bytes are missing or no base64')
  return bytes
}

/** Decodes base64 with white space in it; undefined if the text is no base64. */
export function decodeBase64(text: string): Buffer | undefined {
  const bare = text.replace(/[\t\n\r ]/g, '')
  if (bare.length % 4 !== 0 || !/^[A-Za-z\d+/]*={0,2}$/.test(bare)) return undefined
  return Buffer.from(bare, 'base64')
}

function unknownAlgorithm(element: XmlElement): KeyProblem {
  const name = algorithmOf(element)
    .replace(/[^\x21-\x7e]/g, '?')
    .slice(0, 120)
  return new KeyProblem(
    'algorithm_unknown',
    `Its secret is encrypted by ${name || 'an algorithm that it does not name'}. Known are AES-CBC of 128, 192 ` +
      'and 256 bits for the content, and RSA PKCS#1 v1.5 and OAEP (SHA-1) for its key.',
  )
}

function damaged(why: string): KeyProblem {
  return new KeyProblem(
    'secret_undecryptable',
    `Its encrypted secret is damaged, or was encrypted for another key: ${why}. Restore the element from a backup.`,
  )
}
