import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Files that other systems made; each folder has a README and a manifest of what is in them. */
export const VECTORS = join(import.meta.dirname, '../../shared/vectors')

/** Files are not part of the repository: without them, tests of them are skipped and say so. */
export const withoutVectors = existsSync(VECTORS) ? false : `no vectors in ${VECTORS}`

export function vector(...path: readonly string[]): Buffer {
  return readFileSync(join(VECTORS, ...path))
}

/** A manifest or another JSON file; its shape is that of the README beside it. */
export function vectorJson<T>(...path: readonly string[]): T {
  if (withoutVectors) return { entries: [] } as T
  return JSON.parse(
    vector(...path)
      .toString('utf8')
      .replace(/^\uFEFF/, ''),
  ) as T
}
