import { ImportRefused } from '../errors.ts'
import {
  CERTIFICATES_MAX,
  chainOf,
  parseCertificate,
  rememberingThumbprints,
} from './certificates.ts'
import type { NamedFile } from './duende.ts'
import {
  assertSomething,
  type Imported,
  type ImportedKey,
  leftOut,
  withoutTwins,
} from './imported-key.ts'
import { type KeyFileOptions, readKeyFile } from './key-file.ts'
import { createPasswordWork, createSourceWork } from './password-encryption.ts'
import { orRefusal, refusal } from './refusal.ts'

const FILES_MAX = 1000

/**
 * Reads a directory of key files of any form. A certificate in its own file is joined with its key,
 * and those of its issuers with both, as in one file.
 * A file without a key is named and does not affect the others.
 * @throws ImportRefused if no key can be taken in
 */
export async function readKeyDirectory(
  files: readonly NamedFile[],
  options: Omit<KeyFileOptions, 'name' | 'alias'>,
): Promise<Imported> {
  if (files.length > FILES_MAX)
    throw refusal('input_too_large', `There are more than ${FILES_MAX} files.`)
  const read = []
  const refused = []
  const sourceWork = createSourceWork()
  for (const { name, bytes } of files) {
    const work = createPasswordWork(sourceWork)
    const imported = await orRefusal(() => readKeyFile(bytes, { ...options, name, work }))
    if (imported instanceof ImportRefused) refused.push(leftOut(name, imported))
    else read.push(imported)
  }
  const single = withoutTwins(read.flatMap(({ keys }) => keys))
  const left = [...refused, ...read.flatMap((one) => one.left), ...single.left]
  const all = { keys: await withIssuers(single.keys), left }
  assertSomething(all, 'The directory')
  return all
}

/**
 * Completes chains with certificates of other files. The issuer of a certificate is no key that
 * signed tokens, so it is not published as one.
 */
async function withIssuers(keys: readonly ImportedKey[]): Promise<readonly ImportedKey[]> {
  const found = keys.map((key) => ({ key, own: key.certificates.map(parseCertificate) }))
  // Many have no mark that says so.
  const issuers = found.flatMap(({ key, own }) => (key.private ? [] : own))
  if (issuers.length > CERTIFICATES_MAX) {
    throw refusal(
      'input_too_large',
      `There are more than ${CERTIFICATES_MAX} certificates without a private key. Leave those of keys and their issuers.`,
    )
  }
  const of = rememberingThumbprints()
  const whole: ImportedKey[] = []
  for (const { key, own } of found) {
    const chain = await chainOf(key.thumbprint, [...own, ...issuers], { of })
    whole.push({ ...key, certificates: chain.map(({ raw }) => raw) })
  }
  const issuing = whole.flatMap(({ certificates }) => certificates.slice(1))
  return whole.filter(({ private: signs, certificates: [own] }) => {
    return signs || !own || !issuing.some((der) => Buffer.compare(der, own) === 0)
  })
}
