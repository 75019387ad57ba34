import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3-napi'
import { VECTORS as ALL, vectorJson } from '../../lab/vectors.ts'
import type { GivenElement } from '../../src/data-protection/element-store.ts'
import { type OpenKeyRingOptions, openKeyRing } from '../../src/data-protection/open-key-ring.ts'

/** Key rings and payloads that ASP.NET Core itself made; their README says how each file is read. */

export const VECTORS = join(ALL, 'data-protection')

/** @returns nothing in a clone without the files; tests of them are skipped then */
export function readVector<T>(name: string): T {
  return vectorJson<T>('data-protection', name)
}

export interface VectorKey {
  readonly id: string
  readonly creationDate: string
  readonly activationDate: string
  readonly expirationDate: string
  readonly revoked: boolean
  readonly in?: string
  readonly deserializer: string
  readonly atRest: string
  readonly encryption: string
  readonly validation?: string
  readonly keyLength?: number
  readonly masterKey?: string
  readonly contextHeader?: string
  readonly usable: boolean
}

export interface VectorCertificate {
  readonly file: string
  readonly password: string
}

export interface VectorEntry {
  readonly file: string
  readonly package?: string
  readonly alsoAs?: string
  readonly kind: 'directory' | 'redis' | 'sqlite' | 'postgresql'
  readonly expect: 'read' | 'either'
  readonly app: string
  readonly at: string
  readonly keys: readonly VectorKey[]
  readonly revocations?: readonly { key: string; revocationDate: string; reason: string }[]
  readonly defaultKey: string | null
  readonly fallbackKey: string | null
  readonly shouldGenerate: boolean
  readonly protectsWith?: string
  readonly certificates?: readonly VectorCertificate[]
  readonly payloads?: string
}

export interface VectorPayload {
  readonly name: string
  readonly app: string | null
  readonly purposes: readonly string[]
  readonly protected: string
  readonly plain?: string
  readonly plainLength?: number
  readonly plainSha256?: string
  readonly outcome: 'opens' | 'throws'
  readonly error?: { readonly message: string }
  readonly requiresMigration?: boolean
  readonly wasRevoked?: boolean
  readonly dangerousUnprotect?: 'opens'
  readonly timeLimited?: boolean
  readonly expires?: string
  readonly keyInPayload?: string
}

export interface VectorPayloads {
  readonly judgedAt: string
  readonly defaultKey: string
  readonly payloads: readonly VectorPayload[]
}

/** Entries of rings and stores; those of `malformed.json` and `default-key.json` have tests of their own. */
export const ENTRIES = readVector<{ entries: VectorEntry[] }>('manifest.json').entries.filter(
  (entry) => 'keys' in entry,
)

export function certificatesOf({ certificates = [] }: Pick<VectorEntry, 'certificates'>) {
  return certificates.map(({ file, password }) => ({ file: join(VECTORS, file), password }))
}

/** The ring of an entry at its instant, in each form in which the vectors have it. */
export async function openEntry(entry: VectorEntry, options: Partial<OpenKeyRingOptions> = {}) {
  const common = {
    certificates: certificatesOf(entry),
    now: () => new Date(entry.at),
    ...options,
  }
  if (entry.kind === 'directory') {
    return openKeyRing({ directory: join(VECTORS, entry.file), ...common })
  }
  return openKeyRing({ elements: storedElements(entry), ...common })
}

/** Values of a store, in its order. @param form the other file of the same ring, where there is one */
export function storedElements({ file, kind }: VectorEntry, form = file): readonly GivenElement[] {
  const path = join(VECTORS, form)
  if (kind === 'redis') return readVector<{ lrange: string[] }>(form).lrange
  if (kind === 'sqlite') return elementsOfSqlite(path)
  return form.endsWith('.csv') ? elementsOfCsv(path) : elementsOfDump(path)
}

function elementsOfSqlite(path: string): readonly string[] {
  const database = new Database(path, { readonly: true, fileMustExist: true })
  try {
    // The table has these columns.
    const rows = database.prepare('SELECT "Xml" FROM "DataProtectionKeys" ORDER BY "Id"').all() as {
      Xml: string
    }[]
    return rows.map(({ Xml }) => Xml)
  } finally {
    database.close()
  }
}

/** As `COPY ... TO ... CSV` quotes them: the XML is the last column, and its quotes are doubled. */
function elementsOfCsv(path: string): readonly string[] {
  const rows = readFileSync(path, 'utf8').matchAll(/^\d+,[^,"]*,"((?:[^"]|"")*)"$/gm)
  return [...rows].map(([, xml = '']) => xml.replaceAll('""', '"'))
}

/** The block that `pg_dump` writes for `COPY ... FROM stdin`, in which a backslash is doubled. */
function elementsOfDump(path: string): readonly string[] {
  const block = /^COPY [^\n]*\n(.*?)^\\\.$/ms.exec(readFileSync(path, 'utf8'))?.[1] ?? ''
  return block
    .trimEnd()
    .split('\n')
    .map((row) => (row.split('\t')[2] ?? '').replaceAll('\\\\', '\\'))
}
