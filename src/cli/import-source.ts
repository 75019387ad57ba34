import { join } from 'node:path'
import { PayloadRefused } from '../data-protection/errors.ts'
import type { KeyRing } from '../data-protection/key-ring.ts'
import { openKeyRing } from '../data-protection/open-key-ring.ts'
import { mayHideKey } from '../data-protection/problem.ts'
import { ImportRefused } from '../errors.ts'
import { readDex } from '../import/dex.ts'
import {
  DUENDE_FILES_MAX,
  isDuendeFile,
  type ReadDuendeOptions,
  readDuendeFiles,
  readDuendeTable,
} from '../import/duende.ts'
import { assertTimes, DUENDE_DEFAULTS } from '../import/duende-life.ts'
import type { Unprotect } from '../import/duende-record.ts'
import type { Protect } from '../import/duende-write.ts'
import { isUnpublished, readHydraSet, readHydraTable } from '../import/hydra.ts'
import { type Imported, leftOut, withoutTwins } from '../import/imported-key.ts'
import { INPUT_BYTES_MAX, KEY_FILE_BYTES_MAX } from '../import/input.ts'
import { readJwksFile } from '../import/jwks-file.ts'
import { readKeyDirectory } from '../import/key-directory.ts'
import { readKeyFile } from '../import/key-file.ts'
import { readKeycloak } from '../import/keycloak.ts'
import { readOidcProvider } from '../import/oidc-provider.ts'
import { orRefusal, refusal } from '../import/refusal.ts'
import { ROWS_MAX } from '../import/row.ts'
import {
  isDirectory,
  secretFile,
  sourceAt,
  sourceFile,
  sourceFiles,
  sourceNames,
} from './import-files.ts'
import type { System } from './import-systems.ts'

/** Chooses the reader of `import/` for a source that an operator names. */

export interface SourceOptions {
  readonly passwordFile?: string
  readonly keyPasswordFile?: string
  readonly alias?: string
  readonly secretsFile?: string
  readonly realm?: string
  readonly files?: string
  readonly keyRing?: string
  readonly application?: string
  readonly certificate?: string
  /** Seconds. */
  readonly propagation?: number
  /** Seconds. */
  readonly rotation?: number
  /** Seconds. */
  readonly retention?: number
}

/** Reads the keys of another system. @throws ImportRefused, Refused `source_unreadable` */
export async function readSource(
  system: System,
  source: string,
  options: SourceOptions & { readonly now: number },
): Promise<Imported> {
  switch (system) {
    case 'duende':
      return readDuende(source, options)
    case 'pem':
      return readPem(source, options)
    case 'keycloak':
      return readRealm(source, options)
    case 'hydra':
      return readHydra(source, options)
    case 'jwks': {
      const { bytes, name } = await fileOrAddress(source)
      return readJwksFile(bytes, { name })
    }
    case 'oidc-provider': {
      const { bytes, name } = await sourceFile(source)
      return readOidcProvider(bytes, { name })
    }
    case 'dex': {
      const { bytes, name } = await sourceFile(source)
      return readDex(bytes, { name, now: options.now })
    }
  }
}

/** Reads keys in any format from a file, a directory or an address. */
export async function readKeys(
  source: string,
  options: SourceOptions & { readonly now: number },
): Promise<Imported> {
  if (/^https?:/.test(source)) {
    const { bytes, name } = await sourceAt(source)
    return readJwksFile(bytes, { name })
  }
  return readPem(source, options)
}

function fileOrAddress(source: string) {
  return /^https?:/.test(source) ? sourceAt(source) : sourceFile(source)
}

async function readPem(
  source: string,
  options: SourceOptions & { readonly now: number },
): Promise<Imported> {
  const { now, alias } = options
  const passwords = {
    password: await secretFile(options.passwordFile),
    keyPassword: await secretFile(options.keyPasswordFile),
  }
  if (await isDirectory(source)) {
    const files = await sourceFiles(source, { most: 1000, max: KEY_FILE_BYTES_MAX })
    return readKeyDirectory(files, { ...passwords, now })
  }
  const { bytes, name } = await sourceFile(source, { max: KEY_FILE_BYTES_MAX })
  return readKeyFile(bytes, { ...passwords, name, alias, now })
}

async function readRealm(
  source: string,
  { now, realm, files }: SourceOptions & { readonly now: number },
): Promise<Imported> {
  const keystores =
    files === undefined ? [] : await sourceFiles(files, { most: 1000, max: KEY_FILE_BYTES_MAX })
  const { bytes, name } = (await isDirectory(source))
    ? await realmIn(source, realm)
    : await fileOrAddress(source)
  return readKeycloak(bytes, { name, realm, files: keystores, now })
}

/** Finds the file of a realm in a directory, which has one file for each exported realm. */
async function realmIn(directory: string, realm: string | undefined) {
  const exports = await sourceNames(directory, (name) => name.endsWith('-realm.json'))
  const [only, ...others] = exports.filter(
    (name) => realm === undefined || name === `${realm}-realm.json`,
  )
  if (only !== undefined && others.length === 0) return sourceFile(join(directory, only))
  const names = exports.join(', ') || 'none'
  throw refusal('realm_unknown', `${directory} needs the name of a realm. Its exports: ${names}.`)
}

const KEYS = {
  name: 'Keys',
  columns: [
    ...['Id', 'Version', 'Created', 'Use', 'Algorithm', 'IsX509Certificate', 'DataProtected'],
    'Data',
  ],
  instants: ['Created'],
  // One more tells that there are too many.
  most: ROWS_MAX + 1,
  bytes: INPUT_BYTES_MAX,
}

async function readDuende(
  source: string,
  options: SourceOptions & { readonly now: number },
): Promise<Imported> {
  assertTimes(options)
  const ring = await openProtection(options)
  try {
    return await readDuendeStore(source, {
      now: options.now,
      propagation: options.propagation ?? DUENDE_DEFAULTS.propagation,
      rotation: options.rotation ?? DUENDE_DEFAULTS.rotation,
      retention: options.retention ?? DUENDE_DEFAULTS.retention,
      unprotect: ring?.unprotect,
    })
  } finally {
    await ring?.close()
  }
}

/** Protector of ASP.NET Core Data Protection with IdentityServer's purpose for its keys. */
interface Protection {
  readonly protect: Protect
  readonly unprotect: Unprotect
  readonly close: () => Promise<void>
}

async function readDuendeStore(source: string, read: ReadDuendeOptions): Promise<Imported> {
  if (/^(postgres(ql)?|mysql|mariadb):/.test(source)) {
    const [{ readForeignTable }, { shownUrl }] = await Promise.all([
      import('../database/foreign-table.ts'),
      import('../connection/database-url.ts'),
    ])
    const rows = await readForeignTable(source, KEYS)
    const name = `table Keys of ${shownUrl(source)}`
    const bytes = rows ? Buffer.from(JSON.stringify(rows)) : new Uint8Array(INPUT_BYTES_MAX + 1)
    return readDuendeTable(bytes, { ...read, name })
  }
  const path = source.replace(/^sqlite:/, '')
  if (await isDirectory(path)) {
    const bounds = { most: DUENDE_FILES_MAX, max: KEY_FILE_BYTES_MAX }
    return readDuendeFiles(await sourceFiles(path, { named: isDuendeFile, ...bounds }), read)
  }
  const file = await sourceFile(path)
  if (isDuendeFile(file.name)) return readDuendeFiles([file], read)
  return readDuendeTable(file.bytes, { ...read, name: file.name })
}

/** Opens the key ring that protects IdentityServer's keys; undefined if none is named. */
export async function openProtection(
  options: SourceOptions & { readonly now: number },
): Promise<Protection | undefined> {
  const { keyRing, application, certificate, now } = options
  if (keyRing === undefined) return undefined
  const password = await secretFile(options.passwordFile)
  const isRedis = /^rediss?:/.test(keyRing)
  const isDatabase = /^[a-z][a-z0-9+]*:/i.test(keyRing) && !isRedis
  const place = isRedis
    ? { redis: keyRing }
    : isDatabase
      ? { database: keyRing }
      : { directory: keyRing }
  const ring = await openKeyRing({
    ...place,
    certificates:
      certificate === undefined
        ? []
        : [{ file: certificate, ...(password !== undefined && { password }) }],
    ...(application !== undefined && { applicationName: application }),
    now: () => new Date(now * 1000),
  })
  const protector = ring.createProtector('DataProtectionKeyProtector')
  return {
    protect: (bytes) => protector.protect(bytes),
    unprotect: (payload) => {
      try {
        return protector.unprotect(payload)
      } catch (error) {
        throw withHidden(error, ring)
      }
    },
    close: () => ring.close(),
  }
}

/** A key that is not in the ring may be in what cannot be read of it. */
function withHidden(error: unknown, ring: KeyRing): unknown {
  if (!(error instanceof PayloadRefused) || error.code !== 'payload_key_unknown') return error
  const hidden = ring.problems.find(mayHideKey)
  if (!hidden) return error
  const words = `${error.message} It may be in ${hidden.source}: ${hidden.message}`
  return new PayloadRefused('payload_key_unknown', words)
}

async function readHydra(
  source: string,
  { secretsFile }: SourceOptions & { readonly now: number },
): Promise<Imported> {
  const isFolder = await isDirectory(source)
  const files = isFolder
    ? await sourceFiles(source, { most: 100, max: INPUT_BYTES_MAX })
    : [await sourceFile(source)]
  const secrets = ((await secretFile(secretsFile)) ?? '').split(/\r?\n/).filter(Boolean)
  const read: Imported[] = []
  for (const { bytes, name } of files) {
    const isSet = /"keys"\s*:/.test(Buffer.from(bytes.subarray(0, 10_000)).toString('latin1'))
    const one = await orRefusal(() =>
      isSet
        ? readHydraSet(bytes, { name, set: isFolder ? setOf(name) : undefined })
        : readHydraTable(bytes, { name, secrets }),
    )
    if (!(one instanceof ImportRefused)) read.push(one)
    else if (files.length === 1) throw one
    else {
      const isHarmless = isSet && isUnpublished(setOf(name))
      read.push({ keys: [], left: [leftOut(name, one, { isHarmless })] })
    }
  }
  const single = withoutTwins(read.flatMap(({ keys }) => keys))
  return { keys: single.keys, left: [...read.flatMap(({ left }) => left), ...single.left] }
}

/** The name of a set, which only its file has. */
function setOf(name: string): string {
  return name.replace(/\.json$/, '')
}
