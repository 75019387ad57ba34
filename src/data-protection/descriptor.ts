import { deserializerClass, shownType } from './dotnet-types.ts'
import type { Algorithms, HashName, KeyBytes } from './encryptor.ts'
import { KeyProblem } from './problem.ts'
import { attributeOf, childOf, elementsOf, type XmlElement } from './xml.ts'

/** Algorithms of a key, as its descriptor names them. */

const DIGESTS: Readonly<Record<string, HashName>> = {
  SHA1: 'sha1',
  SHA256: 'sha256',
  SHA384: 'sha384',
  SHA512: 'sha512',
}

/** Finds the inner descriptor in the outer one. @throws KeyProblem `descriptor_invalid` */
export function innerDescriptor(key: XmlElement): { type: string; element: XmlElement } {
  const outer = childOf(key, 'descriptor')
  if (!outer)
    throw new KeyProblem(
      'descriptor_invalid',
      'It has no descriptor, so nobody knows its algorithms.',
    )
  const type = attributeOf(outer, 'deserializerType') ?? ''
  const [element, ...others] = elementsOf(outer)
  if (!element || others.length > 0) {
    throw new KeyProblem('descriptor_invalid', 'Its descriptor must have exactly one element.')
  }
  return { type, element }
}

/**
 * Reads the algorithms of a descriptor.
 * @param type assembly-qualified name of a type, of which the class counts
 * @throws KeyProblem `descriptor_invalid`, `algorithm_unknown`
 */
export function readAlgorithms(type: string, descriptor: XmlElement): Algorithms {
  switch (deserializerClass(type)) {
    case 'AuthenticatedEncryptorDescriptorDeserializer':
      return readDefault(descriptor)
    case 'ManagedAuthenticatedEncryptorDescriptorDeserializer':
      return readManaged(descriptor)
    case 'CngCbcAuthenticatedEncryptorDescriptorDeserializer': {
      const hash = nameIn(descriptor, 'hash')
      return { mode: 'cbc', keyBytes: readCngKey(descriptor), hash: hashOf(hash, hash) }
    }
    case 'CngGcmAuthenticatedEncryptorDescriptorDeserializer':
      return { mode: 'gcm', keyBytes: readCngKey(descriptor) }
  }
  throw new KeyProblem(
    'descriptor_invalid',
    `Its descriptor is of ${shownType(type)}, which is not part of ASP.NET Core. Keyturn cannot use this key.`,
  )
}

function readDefault(descriptor: XmlElement): Algorithms {
  const name = nameIn(descriptor, 'encryption')
  const match = /^AES_(128|192|256)_(CBC|GCM)$/.exec(name)
  if (!match) throw unknown(name)
  const keyBytes = keyBytesOf(match[1])
  if (match[2] === 'GCM') return { mode: 'gcm', keyBytes }
  const validation = nameIn(descriptor, 'validation')
  if (!/^HMACSHA(256|512)$/.test(validation)) throw unknown(validation)
  return { mode: 'cbc', keyBytes, hash: hashOf(validation.slice(4), validation) }
}

/**
 * Reads algorithms named by a short name, or by an assembly-qualified one if .NET has no short one.
 */
function readManaged(descriptor: XmlElement): Algorithms {
  const encryption = nameIn(descriptor, 'encryption')
  const validation = nameIn(descriptor, 'validation')
  if (!/^Aes(Managed|Cng|CryptoServiceProvider)?$/.test(shortName(encryption)))
    throw unknown(encryption)
  const hash = hashOf(shortName(validation).replace(/^HMAC/, ''), validation)
  return { mode: 'cbc', keyBytes: readKeyLength(descriptor), hash }
}

function readCngKey(descriptor: XmlElement): KeyBytes {
  const encryption = nameIn(descriptor, 'encryption')
  if (encryption !== 'AES') throw unknown(encryption)
  return readKeyLength(descriptor)
}

function readKeyLength(descriptor: XmlElement): KeyBytes {
  const encryption = childOf(descriptor, 'encryption')
  return keyBytesOf(encryption && attributeOf(encryption, 'keyLength'))
}

function keyBytesOf(bits: string | undefined): KeyBytes {
  if (bits === '128') return 16
  if (bits === '192') return 24
  if (bits === '256') return 32
  throw unknown(`AES with a key of ${bits ?? 'unknown'} bits`)
}

function hashOf(digest: string, name: string): HashName {
  const hash = Object.hasOwn(DIGESTS, digest) ? DIGESTS[digest] : undefined
  if (!hash) throw unknown(name)
  return hash
}

function nameIn(descriptor: XmlElement, part: string): string {
  const element = childOf(descriptor, part)
  const name = element && attributeOf(element, 'algorithm')
  if (name === undefined)
    throw new KeyProblem('descriptor_invalid', `Its descriptor names no ${part}.`)
  return name
}

function shortName(type: string): string {
  return (type.split(',')[0] ?? '').trim().replace(/^System\.Security\.Cryptography\./, '')
}

function unknown(name: string): KeyProblem {
  const shown = name.replace(/[^\x20-\x7e]/g, '?').slice(0, 80)
  return new KeyProblem(
    'algorithm_unknown',
    `Its descriptor names "${shown}". Known are AES-CBC with HMAC and AES-GCM of 128, 192 and 256 bits.`,
  )
}
