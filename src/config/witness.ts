import { hash } from 'node:crypto'
import { basename, dirname, extname, join, parse, resolve } from 'node:path'
import type { Settings } from './schema.ts'

/** Place of the witness that `rotation.witness` names. */
export type WitnessPlace =
  | { readonly type: 'file'; readonly path: string }
  | { readonly type: 'redis' }
  /** Reason that completes the sentence "because ...". */
  | { readonly type: 'none'; readonly why: string }

/**
 * Folder of a witness without a configured place: apart from the database and the key-encryption
 * key beside it, so that a backup of these need not contain it.
 */
const FOLDER = 'not-in-backups'

/**
 * Finds the place of the witness. `auto` is a file if the key-encryption keys are in one, named
 * after that file because two deployments may keep theirs in one folder; otherwise Redis if there
 * is one; otherwise none.
 */
export function witnessPlace({
  rotation,
  seal,
  redis,
  keyStore,
}: Pick<Settings, 'rotation' | 'seal' | 'redis' | 'keyStore'>): WitnessPlace {
  const { witness } = rotation
  if (witness === 'none') return none('rotation.witness is none')
  if (witness === 'redis') return { type: 'redis' }
  if (witness !== 'auto') return { type: 'file', path: resolve(witness) }
  if (keyStore.type === 'memory') return none('keyStore.type is memory')
  if (seal.protector === 'file') {
    const name = basename(seal.file, extname(seal.file))
    return { type: 'file', path: resolve(join(dirname(seal.file), FOLDER, `${name}-witness.json`)) }
  }
  if (redis.url !== null) return { type: 'redis' }
  return none(
    'rotation.witness is auto, but there is neither a file of key-encryption keys to keep one beside ' +
      '(seal.file) nor Redis (redis.url)',
  )
}

/**
 * The witness file of one issuer if several share a place: a file beside the configured one, named
 * after the issuer.
 * @example
 * witnessFileOf('/data/kek-witness.json', 'https://id.example/a')
 * // /data/kek-witness-id.example-a-3q2b9c.json
 */
export function witnessFileOf(path: string, issuer: string): string {
  const { dir, name, ext } = parse(path)
  const words = issuer.replace(/^https?:\/\//, '').replaceAll(/[^\w.]+/g, '-')
  const end = hash('sha256', issuer, 'hex').slice(0, 6)
  return join(dir, `${name}-${words.slice(0, 80)}-${end}${ext}`)
}

function none(why: string): WitnessPlace {
  return { type: 'none', why }
}
