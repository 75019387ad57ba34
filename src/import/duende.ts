import { ImportRefused } from '../errors.ts'
import { TICKS_PER_DAY } from '../values/ticks.ts'
import { buildKey } from './build-key.ts'
import { attachedChain } from './certificates.ts'
import { DUENDE_DEFAULTS, type DuendeOptions, hasLeft, livesOf } from './duende-life.ts'
import {
  type DuendeKey,
  type DuendeRecord,
  openRecord,
  recordOfEntity,
  recordOfFile,
  recordOfRow,
  type Unprotect,
} from './duende-record.ts'
import {
  assertSomething,
  type Imported,
  type ImportedKey,
  type LeftOut,
  leftOut,
  withoutTwins,
} from './imported-key.ts'
import {
  assertSize,
  DATABASE_BYTES_MAX,
  decodeText,
  INPUT_BYTES_MAX,
  KEY_FILE_BYTES_MAX,
} from './input.ts'
import { createSourceWork } from './password-encryption.ts'
import { orRefusal, refusal } from './refusal.ts'
import type { Row, Table } from './row.ts'
import { isSqlite, sqliteHas } from './sqlite-rows.ts'
import { cellText, tableRows } from './table.ts'

export interface ReadDuendeOptions extends Partial<DuendeOptions> {
  /** Seconds since the epoch: the instant for which phases are determined. */
  readonly now: number
  readonly unprotect?: Unprotect | undefined
}

/** A file of the store's directory. */
export interface NamedFile {
  readonly name: string
  readonly bytes: Uint8Array
}

const FILE = /^is-signing-key-.*\.json$/i
/** Most files of keys in a directory. */
export const DUENDE_FILES_MAX = 10_000
const KEYS: Table = {
  name: 'Keys',
  columns: [
    'Id',
    'Version',
    'Created',
    'Use',
    'Algorithm',
    'IsX509Certificate',
    'DataProtected',
    'Data',
  ],
  optional: ['Version', 'Use'],
}
/** Table of the storage layer of version 8. */
const ENTITIES: Table = { name: 'entities', columns: ['entity_type_id', 'value'] }
/** Type of the rows with keys, in the storage layer of version 8. */
const KEY_ENTITY = '2108'

/** True if the file is named like the file of a key of IdentityServer. */
export function isDuendeFile(name: string): boolean {
  return FILE.test(name)
}

/**
 * Reads the file store, `is-signing-key-*.json`. Other files of the directory are ignored.
 * @throws ImportRefused if no key can be taken in
 */
export async function readDuendeFiles(
  files: readonly NamedFile[],
  options: ReadDuendeOptions,
): Promise<Imported> {
  const found = files.filter(({ name }) => isDuendeFile(name))
  if (found.length > DUENDE_FILES_MAX)
    throw refusal('input_too_large', `There are more than ${DUENDE_FILES_MAX} files of keys.`)
  if (found.length === 0) throw refusal('no_keys', 'There is no file is-signing-key-*.json.')
  return readRecords(
    found.map(({ name, bytes }) => ({
      source: name,
      read: () => {
        assertSize(bytes, KEY_FILE_BYTES_MAX, name)
        return recordOfFile(bytes, name)
      },
    })),
    options,
  )
}

/**
 * Reads the table `Keys` of the operational store, or `entities` of version 8, from a SQLite file,
 * a dump, CSV or JSON.
 * @throws ImportRefused if no key can be taken in
 */
export async function readDuendeTable(
  bytes: Uint8Array,
  { name, ...options }: ReadDuendeOptions & { readonly name: string },
): Promise<Imported> {
  const rows = keyRows(bytes, name)
  return readRecords(
    rows.map((row, at) => {
      const source = `${name}#${typeof row.Id === 'string' ? row.Id.slice(0, 100) : `row ${at + 1}`}`
      const entity = cellText(row.value)
      return {
        source,
        read: () =>
          entity === undefined ? recordOfRow(row, source) : recordOfEntity(entity, source),
      }
    }),
    options,
  )
}

function keyRows(bytes: Uint8Array, name: string): readonly Row[] {
  assertSize(bytes, isSqlite(bytes) ? DATABASE_BYTES_MAX : INPUT_BYTES_MAX, name)
  const table = isStorage8(bytes, name) ? ENTITIES : KEYS
  const rows = tableRows(bytes, table, name)
  if (table === KEYS)
    return rows.filter(({ Use }) => Use === undefined || cellText(Use) === 'signing')
  return rows.filter((row) => cellText(row.entity_type_id) === KEY_ENTITY)
}

/** True if the table is that of the storage layer of version 8. */
function isStorage8(bytes: Uint8Array, name: string): boolean {
  if (isSqlite(bytes)) return sqliteHas(bytes, ENTITIES.name, name)
  return /entity_type_id/.test(decodeText(bytes, name).slice(0, 100_000))
}

async function readRecords(
  sources: readonly { readonly source: string; readonly read: () => DuendeRecord }[],
  { now, unprotect, ...given }: ReadDuendeOptions,
): Promise<Imported> {
  const options = { ...DUENDE_DEFAULTS, ...given }
  const work = createSourceWork()
  const left: LeftOut[] = []
  const opened: { key: ImportedKey; record: DuendeKey }[] = []
  for (const { source, read } of sources) {
    const found = await orRefusal(read)
    if (found instanceof ImportRefused) {
      left.push(leftOut(source, found))
      continue
    }
    const isSpent = hasLeft(found, options, now)
    const result = await orRefusal(async () => {
      const record = await openRecord(found, { unprotect, work })
      return { record, key: await keyOf(record, isSpent) }
    })
    if (result instanceof ImportRefused) {
      left.push(leftOut(source, result, { kid: found.id, isHarmless: isSpent }))
    } else opened.push(result)
  }
  const single = withoutTwins(opened.map(({ key }) => key))
  const records = single.keys.flatMap(({ kid }) => opened.find(({ key }) => key.kid === kid) ?? [])
  const lives = livesOf(
    records.map(({ record }) => ({ ...record, isX509: record.pkcs12 !== undefined })),
    options,
    now,
  )
  const keys = records.map(({ key }) => ({ ...key, ...lives.get(key.kid) }))
  const imported = { keys, left: [...left, ...single.left] }
  assertSomething(imported, 'The key store of IdentityServer')
  return imported
}

async function keyOf(record: DuendeKey, isSpent: boolean): Promise<ImportedKey> {
  const { kid, algorithm, members, source, certificates = [] } = record
  if (record.storedAt < record.createdAt - TICKS_PER_DAY) {
    throw refusal(
      'date_malformed',
      `${source} has two instants Created that contradict each other: the record was stored before its key was ` +
        'made. IdentityServer signs by the one and unpublishes by the other. Correct the outer one.',
    )
  }
  const key = await buildKey({ members, kid, algorithm, source, isSpent })
  const chain = await attachedChain(
    key,
    certificates.map(({ certificate }) => certificate),
  )
  return { ...key, certificates: chain }
}
