import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readBounded } from '../bounded-file.ts'
import { ImportRefused } from '../errors.ts'
import { children, looksLikeDer, octets, readDer } from '../import/der.ts'
import { KEY_FILE_BYTES_MAX } from '../import/input.ts'
import { createPasswordWork, decryptByPassword } from '../import/password-encryption.ts'
import { pemBlocks } from '../import/pem.ts'
import { readPkcs12 } from '../import/pkcs12.ts'
import type { Certificate } from './encrypted-xml.ts'
import { CertificateUnusable } from './errors.ts'

/**
 * A certificate with its private key, for which secrets of a ring are encrypted: PKCS#12 or PEM.
 */
export interface CertificateFile {
  readonly file: string
  /** Password of the file. Unencrypted PEM needs none. */
  readonly password?: string
}

/** Loads a certificate with its private key. @throws CertificateUnusable */
export async function loadCertificate({ file, password }: CertificateFile): Promise<Certificate> {
  const read = await readBounded(file, KEY_FILE_BYTES_MAX).catch((error: NodeJS.ErrnoException) => {
    throw unusable(file, `it cannot be read (${error.code ?? error.message})`)
  })
  if (!read) throw unusable(file, 'it is far too large for a certificate')
  const bytes = Buffer.from(read)
  const found = looksLikeDer(bytes)
    ? readKeystore(bytes, { file, password })
    : readPem(bytes, { file, password })
  const type = found.privateKey.asymmetricKeyType
  if (type === 'rsa') return found
  throw unusable(
    file,
    `its key is of type ${type}, and ASP.NET Core encrypts key rings with RSA only`,
  )
}

interface Named {
  readonly file: string
  readonly password: string | undefined
}

/** Reads PKCS#12. Expired certificates are accepted, as in ASP.NET Core. */
function readKeystore(bytes: Buffer, { file, password }: Named): Certificate {
  try {
    const { keys, certificates } = readPkcs12(bytes, { password: password ?? '' })
    const privateKeys = keys.map(({ members }) => toPrivateKey(members))
    for (const { certificate } of certificates) {
      const privateKey = privateKeys.find((key) => certificate.checkPrivateKey(key))
      if (privateKey) return { certificate: certificate.raw, privateKey }
    }
  } catch (error) {
    if (error instanceof ImportRefused) throw unusable(file, error.message)
    throw error
  }
  throw unusable(file, 'it has no certificate with its private key')
}

function toPrivateKey(members: Record<string, unknown>): KeyObject {
  try {
    return createPrivateKey({ key: members, format: 'jwk' })
  } catch {
    throw new ImportRefused('key_malformed', 'Its private key is damaged.')
  }
}

function readPem(bytes: Buffer, named: Named): Certificate {
  const { file } = named
  try {
    const certificate = new X509Certificate(bytes)
    const privateKey = privateKeyOf(bytes, named)
    if (certificate.checkPrivateKey(privateKey)) return { certificate: certificate.raw, privateKey }
  } catch (error) {
    if (error instanceof ImportRefused && error.code === 'input_too_large') {
      throw unusable(file, error.message)
    }
    throw unusable(
      file,
      'the password is wrong, or it is no PKCS#12 or PEM file with a certificate and its private key',
    )
  }
  throw unusable(file, 'its private key is that of another certificate')
}

/**
 * Reads the private key. An encrypted one is opened here with a limit of work, because OpenSSL
 * would do as many rounds as the file says, for hours if need be.
 */
function privateKeyOf(bytes: Buffer, { file, password }: Named): KeyObject {
  const [first] = pemBlocks(bytes.toString('utf8'), file).filter(({ label }) =>
    label.endsWith('PRIVATE KEY'),
  )
  if (first?.label !== 'ENCRYPTED PRIVATE KEY') {
    const passphrase = password === undefined ? {} : { passphrase: password }
    return createPrivateKey({ key: bytes, ...passphrase })
  }
  const [algorithm, encrypted] = children(readDer(first.der))
  const secret = { password: password ?? '', work: createPasswordWork() }
  const clear = decryptByPassword(algorithm, octets(encrypted), secret)
  return createPrivateKey({ key: clear, format: 'der', type: 'pkcs8' })
}

function unusable(file: string, why: string): CertificateUnusable {
  return new CertificateUnusable(
    `The certificate ${file} cannot be used: ${why.replace(/\.$/, '')}.`,
  )
}
