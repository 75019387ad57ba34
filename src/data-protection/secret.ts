import { createHash } from 'node:crypto'
import { decryptorClass, shownType } from './dotnet-types.ts'
import { type Certificate, decodeBase64, decryptXml, XMLENC } from './encrypted-xml.ts'
import { KeyProblem } from './problem.ts'
import { attributeOf, childOf, elementsOf, textOf, type XmlElement } from './xml.ts'

/** Secret of a key in its descriptor: in clear, wrapped, or encrypted for a certificate. */

export const DATA_PROTECTION = 'http://schemas.asp.net/2015/03/dataProtection'

/** Number of bytes of every secret that ASP.NET Core makes. */
export const SECRET_BYTES = 64

/** Most levels of nested encryptors; nobody nests them deeper. */
const NESTING_MAX = 8

/**
 * Decrypts each encrypted part of a descriptor.
 * @throws KeyProblem `encryptor_foreign`, `certificate_missing`, `algorithm_unknown`,
 * `secret_undecryptable`
 */
export function decryptDescriptor(
  element: XmlElement,
  certificates: readonly Certificate[],
  nesting = 0,
): XmlElement {
  if (element.name === 'encryptedSecret' && element.namespace === DATA_PROTECTION) {
    if (nesting === NESTING_MAX) throw undecryptable('it is encrypted too many times over')
    return decryptDescriptor(decryptSecret(element, certificates), certificates, nesting + 1)
  }
  return {
    ...element,
    children: element.children.map((child) =>
      typeof child === 'string' ? child : decryptDescriptor(child, certificates, nesting),
    ),
  }
}

/** Reads the secret. @param descriptor decrypted descriptor @throws KeyProblem `secret_invalid` */
export function readMasterKey(descriptor: XmlElement): Buffer {
  const masterKey = childOf(descriptor, 'masterKey')
  const value = masterKey && childOf(masterKey, 'value')
  if (!value) throw invalid('it is missing')
  const secret = decodeBase64(textOf(value))
  if (!secret) throw invalid('it is no base64')
  // ASP.NET Core accepts any length, even 0, and would then protect under a key that everybody
  // knows.
  if (secret.length !== SECRET_BYTES) throw invalid(`it has ${secret.length} bytes`)
  return secret
}

/**
 * Name of the protection of a key's secret, for people; undefined if the secret is in clear.
 * Nothing is opened.
 */
export function protectionOf(element: XmlElement): string | undefined {
  for (const child of elementsOf(element)) {
    if (child.name === 'encryptedSecret' && child.namespace === DATA_PROTECTION) {
      const type = attributeOf(child, 'decryptorType') ?? ''
      const known = decryptorClass(type)
      if (known === 'NullXmlDecryptor') return protectionOf(child)
      const thumbprint = known === 'EncryptedXmlDecryptor' ? thumbprintIn(child) : undefined
      return thumbprint ?? shownType(type)
    }
    const inner = protectionOf(child)
    if (inner !== undefined) return inner
  }
  return undefined
}

/** Thumbprint of the certificate as Windows and .NET show it: SHA-1, in capitals. */
function thumbprintIn(element: XmlElement): string | undefined {
  for (const child of elementsOf(element)) {
    if (child.name === 'X509Certificate') {
      const der = decodeBase64(textOf(child))
      return der && createHash('sha1').update(der).digest('hex').toUpperCase()
    }
    const inner = thumbprintIn(child)
    if (inner !== undefined) return inner
  }
  return undefined
}

function decryptSecret(element: XmlElement, certificates: readonly Certificate[]): XmlElement {
  const type = attributeOf(element, 'decryptorType') ?? ''
  const [content, ...more] = elementsOf(element)
  switch (decryptorClass(type)) {
    case 'NullXmlDecryptor': {
      const [clear, ...others] = content ? elementsOf(content) : []
      if (!clear || others.length > 0) throw undecryptable('it must have one element')
      return clear
    }
    case 'EncryptedXmlDecryptor': {
      const isData = content?.name === 'EncryptedData' && content.namespace === XMLENC
      if (!isData || more.length > 0) throw undecryptable('it has no EncryptedData')
      return decryptXml(content, certificates)
    }
    case 'DpapiXmlDecryptor':
      throw foreign(
        type,
        'Windows DPAPI, which only the account or machine that encrypted it can undo',
      )
    case 'DpapiNGXmlDecryptor':
      throw foreign(type, 'Windows DPAPI-NG, which only members of its domain can undo')
  }
  if (type.includes('AzureKeyVault')) throw foreign(type, 'Azure Key Vault')
  if (/\b(Aws|Amazon)\b|Kms/.test(type)) throw foreign(type, 'AWS KMS')
  throw foreign(type, 'an encryptor that is not part of ASP.NET Core')
}

function foreign(type: string, by: string): KeyProblem {
  return new KeyProblem(
    'encryptor_foreign',
    `Its secret is encrypted by ${by} (${shownType(type)}). Keyturn cannot open it. Where it can be opened, ` +
      'protect new keys with a certificate (ProtectKeysWithCertificate) and let this one expire.',
  )
}

function undecryptable(why: string): KeyProblem {
  return new KeyProblem(
    'secret_undecryptable',
    `Its encrypted secret is damaged: ${why}. Restore the element from a backup.`,
  )
}

function invalid(why: string): KeyProblem {
  return new KeyProblem(
    'secret_invalid',
    `Its secret must be ${SECRET_BYTES} bytes in base64; ${why}. Restore the element from a backup.`,
  )
}
