import { ImportRefused } from '../errors.ts'
import type { NamedFile } from './duende.ts'
import { assertSomething, type Imported, leftOut, withoutTwins } from './imported-key.ts'
import { type KeyFileOptions, readKeyFile } from './key-file.ts'
import { createPasswordWork, createSourceWork } from './password-encryption.ts'
import { orRefusal, refusal } from './refusal.ts'

const FILES_MAX = 1000

/**
 * Reads a directory of key files of any form. A certificate in its own file is joined with its key.
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
  const all = { keys: single.keys, left }
  assertSomething(all, 'The directory')
  return all
}
