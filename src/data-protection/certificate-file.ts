import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { CertificateUnusable } from '../errors.ts'
import type { Certificate } from './encrypted-xml.ts'

/** A certificate with its private key, by which secrets of a ring are encrypted: PKCS#12 or PEM. */
export interface CertificateFile {
  readonly file: string
  /** Of the file; PEM that is not encrypted needs none. */
  readonly password?: string
}

/** @throws CertificateUnusable */
export async function loadCertificate({ file, password }: CertificateFile): Promise<Certificate> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new CertificateUnusable(
      `The certificate ${file} cannot be read: ${error.code ?? error.message}`,
      error,
    )
  })
  const found = readPem(looksLikePem(bytes) ? bytes : toPem(file, password ?? ''), {
    file,
    password,
  })
  if (found.privateKey.asymmetricKeyType !== 'rsa') {
    throw new CertificateUnusable(
      `The certificate ${file} has a key of type ${found.privateKey.asymmetricKeyType}. ASP.NET Core encrypts ` +
        'key rings with RSA certificates only.',
    )
  }
  return found
}

function readPem(
  bytes: Buffer,
  { file, password }: { file: string; password: string | undefined },
): Certificate {
  try {
    const certificate = new X509Certificate(bytes)
    const privateKey = createPrivateKey({
      key: bytes,
      ...(password === undefined ? {} : { passphrase: password }),
    })
    if (!certificate.checkPrivateKey(privateKey))
      throw new Error('its key is that of another certificate')
    return { certificate: certificate.raw, privateKey }
  } catch (error) {
    throw new CertificateUnusable(
      `The certificate ${file} cannot be opened: the password is wrong, or it is no PKCS#12 or PEM file with ` +
        'a certificate and its private key.',
      error,
    )
  }
}

function looksLikePem(bytes: Buffer): boolean {
  return bytes.includes('-----BEGIN ')
}

/** PKCS#12 is opened by the `openssl` program, as Node has nothing for it. The password goes by its standard input. */
function toPem(file: string, password: string): Buffer {
  const options = ['pkcs12', '-in', file, '-passin', 'stdin', '-nodes', '-legacy']
  try {
    return execFileSync('openssl', options, {
      input: `${password}\n`,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
  } catch (error) {
    throw new CertificateUnusable(
      `The PKCS#12 file ${file} does not open: the password is wrong, it is damaged, or there is no openssl program.`,
      error,
    )
  }
}
