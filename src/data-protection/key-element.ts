import { formatXsdDate, type Ticks } from '../values/ticks.ts'
import { decryptorType, deserializerType } from './dotnet-types.ts'
import { encryptXml, XMLDSIG, XMLENC } from './encrypted-xml.ts'
import type { NewElement } from './ring-store.ts'
import { DATA_PROTECTION } from './secret.ts'

/** Elements of a ring, byte for byte as ASP.NET Core 10 writes them. */

/**
 * Algorithms for which ASP.NET Core has a short name (`EncryptionAlgorithm`,
 * `ValidationAlgorithm`).
 */
export interface NewKeyAlgorithms {
  readonly encryption: `AES_${128 | 192 | 256}_${'CBC' | 'GCM'}`
  /** Algorithm for CBC only, because GCM validates by itself. */
  readonly validation?: 'HMACSHA256' | 'HMACSHA512'
}

/** Default of ASP.NET Core. */
const DEFAULT_ALGORITHMS: NewKeyAlgorithms = {
  encryption: 'AES_256_CBC',
  validation: 'HMACSHA256',
}

export interface NewKey {
  readonly id: string
  readonly createdAt: Ticks
  readonly activatesAt: Ticks
  readonly expiresAt: Ticks
  /** Secret of 64 random bytes. */
  readonly secret: Uint8Array
  readonly algorithms?: NewKeyAlgorithms
  /**
   * DER of the certificate for which the secret is encrypted; without it, the secret is stored in
   * clear.
   */
  readonly certificate?: Uint8Array | undefined
}

/** A line and its depth. */
type Line = readonly [depth: number, text: string]

/**
 * Name of the secret's element. ASP.NET Core derives the prefix from the place: in the tree of an
 * element, or in a secret cut out of it.
 */
const masterKey = (prefix: 'p4' | 'd1p1') =>
  `masterKey ${prefix}:requiresEncryption="true" xmlns:${prefix}="${DATA_PROTECTION}"`
const IN_CLEAR = '<!-- Warning: the key below is in an unencrypted form. -->'
const GCM =
  '<!-- AES-GCM includes a 128-bit authentication tag, no extra validation algorithm required. -->'
const OF_ALL = '<!-- All keys created before the revocation date are revoked. -->'

export function keyElement(key: NewKey): NewElement {
  const { algorithms = DEFAULT_ALGORITHMS, certificate } = key
  const { encryption, validation = 'HMACSHA256' } = algorithms
  const secret = Buffer.from(key.secret).toString('base64')
  return element(`key-${key.id}`, [
    [0, `<key id="${key.id}" version="1">`],
    [1, `<creationDate>${formatXsdDate(key.createdAt)}</creationDate>`],
    [1, `<activationDate>${formatXsdDate(key.activatesAt)}</activationDate>`],
    [1, `<expirationDate>${formatXsdDate(key.expiresAt)}</expirationDate>`],
    [
      1,
      `<descriptor deserializerType="${deserializerType('AuthenticatedEncryptorDescriptorDeserializer')}">`,
    ],
    [2, '<descriptor>'],
    [3, `<encryption algorithm="${encryption}" />`],
    [3, encryption.endsWith('GCM') ? GCM : `<validation algorithm="${validation}" />`],
    ...(certificate ? encryptedSecret(secret, certificate) : clearSecret(secret)),
    [2, '</descriptor>'],
    [1, '</descriptor>'],
    [0, '</key>'],
  ])
}

/**
 * Makes the element that revokes a key.
 * @param reason only for people
 * @throws TypeError for control characters in the reason
 */
export function revocationElement(id: string, at: Ticks, reason: string): NewElement {
  return element(`revocation-${id}`, [
    [0, '<revocation version="1">'],
    [1, `<revocationDate>${formatXsdDate(at)}</revocationDate>`],
    [1, `<key id="${id}" />`],
    [1, reasonElement(reason)],
    [0, '</revocation>'],
  ])
}

/**
 * Makes the element that revokes all keys created before an instant.
 * @throws TypeError as {@link revocationElement}
 */
export function revocationOfAllElement(before: Ticks, reason: string): NewElement {
  const date = formatXsdDate(before)
  return element(`revocation-${date.replace(/[-:.]/g, '')}`, [
    [0, '<revocation version="1">'],
    [1, `<revocationDate>${date}</revocationDate>`],
    [1, OF_ALL],
    [1, '<key id="*" />'],
    [1, reasonElement(reason)],
    [0, '</revocation>'],
  ])
}

function element(name: string, lines: readonly Line[]): NewElement {
  return {
    name,
    indented: lines.map(([depth, text]) => '  '.repeat(depth) + text).join('\n'),
    line: lines.map(([, text]) => text).join(''),
  }
}

function clearSecret(secret: string): readonly Line[] {
  return [
    [3, `<${masterKey('p4')}>`],
    [4, IN_CLEAR],
    [4, `<value>${secret}</value>`],
    [3, '</masterKey>'],
  ]
}

function encryptedSecret(secret: string, certificate: Uint8Array): readonly Line[] {
  const text = `<${masterKey('d1p1')}>${IN_CLEAR}<value>${secret}</value></masterKey>`
  const { content, wrappedKey } = encryptXml(text, certificate)
  const x509 = Buffer.from(certificate).toString('base64')
  return [
    [
      3,
      `<encryptedSecret decryptorType="${decryptorType('EncryptedXmlDecryptor')}" xmlns="${DATA_PROTECTION}">`,
    ],
    [4, `<EncryptedData Type="${XMLENC}Element" xmlns="${XMLENC}">`],
    [5, `<EncryptionMethod Algorithm="${XMLENC}aes256-cbc" />`],
    [5, `<KeyInfo xmlns="${XMLDSIG}">`],
    [6, `<EncryptedKey xmlns="${XMLENC}">`],
    [7, `<EncryptionMethod Algorithm="${XMLENC}rsa-1_5" />`],
    [7, `<KeyInfo xmlns="${XMLDSIG}">`],
    [8, '<X509Data>'],
    [9, `<X509Certificate>${x509}</X509Certificate>`],
    [8, '</X509Data>'],
    [7, '</KeyInfo>'],
    [7, '<CipherData>'],
    [8, `<CipherValue>${wrappedKey.toString('base64')}</CipherValue>`],
    [7, '</CipherData>'],
    [6, '</EncryptedKey>'],
    [5, '</KeyInfo>'],
    [5, '<CipherData>'],
    [6, `<CipherValue>${content.toString('base64')}</CipherValue>`],
    [5, '</CipherData>'],
    [4, '</EncryptedData>'],
    [3, '</encryptedSecret>'],
  ]
}

function reasonElement(reason: string): string {
  if (/\p{Cc}|\p{Cs}|[\ufffe\uffff]/u.test(reason)) {
    throw new TypeError(
      'The reason has a line break or another character that XML cannot hold as it is',
    )
  }
  const escaped = reason.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return escaped === '' ? '<reason />' : `<reason>${escaped}</reason>`
}
