import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { CompactEncrypt } from 'jose'
import { VECTORS, vector, vectorJson } from '../lab/vectors.ts'
import { openKeyRing } from '../src/data-protection/open-key-ring.ts'
import { readDex } from '../src/import/dex.ts'
import { type NamedFile, readDuendeFiles, readDuendeTable } from '../src/import/duende.ts'
import { type DuendeRecord, recordOfFile } from '../src/import/duende-record.ts'
import { readHydraSet, readHydraTable } from '../src/import/hydra.ts'
import type { Imported } from '../src/import/imported-key.ts'
import { readJwksFile } from '../src/import/jwks-file.ts'
import { readKeyFile } from '../src/import/key-file.ts'
import { readKeycloak } from '../src/import/keycloak.ts'
import { readOidcProvider } from '../src/import/oidc-provider.ts'
import { sealHydra } from './seal-hydra.ts'
import { shortened } from './shortened.ts'

/**
 * Files for each importer: those that the real systems made, and the inside of those that are
 * sealed, so that changes get past the seal.
 */

export interface FuzzInput {
  readonly file: string
  readonly bytes: Buffer
  readonly read: (bytes: Buffer) => Promise<Imported>
}

export interface FuzzTarget {
  readonly name: string
  readonly inputs: readonly FuzzInput[]
}

/** Texts of the vectors that no message may hold. */
export const PASSWORDS = [
  ...['test-only-pem', 'test-only-java', 'test-only-kt', 'test-only-go', 'test-only-s'],
  ...['test-only-k', 'test-only-system', 'not-the-password'],
]

const NOW = Date.parse('2026-11-28T00:00:00Z') / 1000
/** Files whose password takes a tenth of a second and more: they would be all that a run does. */
const SLOW =
  /^(bc-3des-rc2-ber|bc-encrypted|bc-pbmac1|encrypted\.jwk|go-legacy|go-modern|java-|java\.jks|keytool|openssl-|python-|rsa-pbe|rsa-without|step-.*priv)/
const IN_CLEAR = /^openssl-(key-in-clear|no-mac|certs-in-clear)|^python-no-encryption/

interface Entry {
  readonly file: string
  readonly name?: string
  readonly kind?: string
  readonly now?: string
  readonly password?: string
  readonly ring?: unknown
  readonly applicationName?: string
  readonly published?: string
  readonly store?: readonly { readonly name: string; readonly from: string }[]
  readonly alsoAs?: Readonly<Record<string, string>>
  readonly derived?: Readonly<Record<string, string>>
}

const entriesOf = (system: string) =>
  vectorJson<{ entries: Entry[] }>(system, 'manifest.json').entries
const unique = (files: readonly string[]) => [...new Set(files)]

export async function importTargets(): Promise<readonly FuzzTarget[]> {
  return [
    ...(await duendeTargets()),
    ...keyFileTargets(),
    { name: 'jwks', inputs: jwksInputs() },
    ...keycloakTargets(),
    ...hydraTargets(),
    { name: 'dex', inputs: unique(entriesOf('dex').map(({ file }) => file)).map(ofDex) },
    {
      name: 'oidc-provider',
      inputs: entriesOf('oidc-provider').map(({ file }) => ofProvider(file)),
    },
  ]
}

function input(
  path: readonly [string, string],
  read: (bytes: Buffer, name: string) => Promise<Imported>,
): FuzzInput {
  const [, name] = path
  const bytes = shortened(vector(...path), name)
  return { file: path.join('/'), bytes, read: (changed) => read(changed, name) }
}

const ofDex = (file: string) => input(['dex', file], (bytes, name) => readDex(bytes, { name }))
const ofProvider = (file: string) =>
  input(['oidc-provider', file], (bytes, name) => readOidcProvider(bytes, { name }))

/** Files and tables as they lie there, and the text within a sealed record. */
async function duendeTargets(): Promise<readonly FuzzTarget[]> {
  const entries = entriesOf('duende')
  const protector = await duendeProtector()
  const unprotect = (payload: Uint8Array) => protector.unprotect(payload)
  const options = { now: NOW, unprotect }
  const stores = entries.filter(({ kind, store }) => kind === 'file store' && !store)
  const files = stores.flatMap(({ file }) =>
    readdirSync(join(VECTORS, 'duende', file)).map((name) => [file, name] as const),
  )
  const faults = unique(entries.flatMap(({ store = [] }) => store.map(({ from }) => from))).map(
    (from) =>
      [from.slice(0, from.lastIndexOf('/')), from.slice(from.lastIndexOf('/') + 1)] as const,
  )
  const records = [...files, ...faults].map(([folder, name]) => ({
    file: `duende/${folder}/${name}`,
    bytes: vector('duende', folder, name),
    read: (bytes: Buffer) =>
      readDuendeFiles([{ name: 'is-signing-key-X.json', bytes } satisfies NamedFile], options),
  }))
  const inner = files.flatMap(([folder, name]) => {
    const record = recordOfFile(vector('duende', folder, name), name)
    if (record.isProtected) return []
    const bytes = Buffer.from(record.data)
    return {
      file: `duende/${folder}/${name}#Data`,
      bytes,
      read: sealedRead(record, protector.protect),
    }
  })
  const tables = entries
    .filter(({ kind = '' }) => /table|storage/.test(kind))
    .flatMap(({ file, alsoAs, derived }) => [file, ...Object.keys({ ...alsoAs, ...derived })])
    .map((file) =>
      input(['duende', file], (bytes, name) => readDuendeTable(bytes, { ...options, name })),
    )
  return [
    { name: 'duende file', inputs: records },
    { name: 'duende sealed', inputs: inner },
    { name: 'duende table', inputs: tables },
  ]

  function sealedRead(record: DuendeRecord, protect: (bytes: Uint8Array) => Buffer) {
    return (bytes: Buffer) => {
      const text = JSON.stringify({
        ...{ Version: 1, Id: 'X', Created: '2026-03-02T07:15:32Z', Algorithm: record.algorithm },
        ...{ IsX509Certificate: record.isX509, DataProtected: true },
        Data: protect(bytes).toString('base64url'),
      })
      return readDuendeFiles([{ name: 'is-signing-key-X.json', bytes: Buffer.from(text) }], options)
    }
  }
}

/** Seals with the ring of a vector, and opens what that ring sealed. */
async function duendeProtector() {
  const ring = await openKeyRing({
    directory: join(VECTORS, 'duende/announced/ring'),
    applicationName: 'harbour-login',
    now: () => new Date('2026-03-06T00:00:00Z'),
  })
  return ring.createProtector('DataProtectionKeyProtector')
}

/** PEM, PKCS#8, PKCS#12, JKS, JWK, certificates. */
function keyFileTargets(): readonly FuzzTarget[] {
  const read = (password: unknown) => (bytes: Buffer, name: string) =>
    readKeyFile(bytes, { name, now: NOW, ...(typeof password === 'string' && { password }) })
  const entries = entriesOf('pem')
  const of = ({ file, password }: Entry) => input(['pem', file], read(password))
  const isSlow = ({ file }: Entry) => SLOW.test(file) && !IN_CLEAR.test(file)
  const jks = vector('pem', 'java.jks')
  const jwk = vector('pem', 'bare-ec.jwk.json')
  return [
    { name: 'key file', inputs: entries.filter((entry) => !isSlow(entry)).map(of) },
    { name: 'key file under a password', inputs: entries.filter(isSlow).map(of) },
    {
      name: 'key file, sealed',
      inputs: [
        {
          file: 'pem/java.jks#content',
          bytes: jks.subarray(0, -20),
          read: (bytes) => read('test-only-java')(withGuard(bytes, 'test-only-java'), 'java.jks'),
        },
        {
          file: 'pem/bare-ec.jwk.json in a JWE',
          bytes: jwk,
          read: async (bytes) => read('test-only-pem')(await inJwe(bytes), 'key.jwe'),
        },
      ],
    },
  ]
}

/** The digest that guards a JKS store, as the JDK makes it. */
function withGuard(content: Buffer, password: string): Buffer {
  const guard = createHash('sha1')
    .update(Buffer.from(password, 'utf16le').swap16())
    .update('Mighty Aphrodite')
    .update(content)
  return Buffer.concat([content, guard.digest()])
}

async function inJwe(bytes: Buffer): Promise<Buffer> {
  const jwe = await new CompactEncrypt(bytes)
    .setProtectedHeader({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM' })
    .setKeyManagementParameters({ p2c: 1000 })
    .encrypt(new TextEncoder().encode('test-only-pem'))
  return Buffer.from(jwe)
}

function jwksInputs(): readonly FuzzInput[] {
  const files: readonly (readonly [string, string])[] = [
    ...['jwks-1.json', 'jwks-4.json'].map((file) => ['keycloak', file] as const),
    ...['jwks-3.json'].map((file) => ['hydra', file] as const),
    ...['sqlite3/jwks-4.json', 'newer-es256/jwks-3.json'].map((file) => ['dex', file] as const),
    ...['x509/jwks.json', 'many-algorithms/jwks.json'].map((file) => ['duende', file] as const),
    ...entriesOf('oidc-provider').map(
      ({ published = '' }) => ['oidc-provider', published] as const,
    ),
    ...['mixed.jwks.json', 'twin.jwks.json', 'array.json'].map((file) => ['pem', file] as const),
    ...['duplicate-kid.jwks.json', 'named.jwk.json'].map((file) => ['pem', file] as const),
  ]
  return files.map((path) => input(path, (bytes, name) => readJwksFile(bytes, { name })))
}

function keycloakTargets(): readonly FuzzTarget[] {
  const files = ['conf/chain.p12', 'conf/ec.jks'].map((name) => ({
    name,
    bytes: vector('keycloak', name),
  }))
  const of = (file: string) =>
    input(['keycloak', file], (bytes, name) => readKeycloak(bytes, { name, files, now: NOW }))
  const exports = unique(entriesOf('keycloak').map(({ file }) => file)).filter(
    (file) => !/^conf|admin-keys/.test(file),
  )
  return [
    { name: 'keycloak', inputs: exports.map(of) },
    { name: 'keycloak keys', inputs: [1, 2, 3, 4].map((at) => of(`admin-keys-${at}.json`)) },
  ]
}

const SYSTEM_SECRETS = ['test-only-system-secret-number-2', 'test-only-system-secret-number-1']

function hydraTargets(): readonly FuzzTarget[] {
  const files = unique(entriesOf('hydra').map(({ file }) => file))
  const sets = files.filter((file) => file.startsWith('admin-keys'))
  const tables = files.filter((file) => !file.startsWith('admin-keys'))
  const set = vectorJson<{ keys: unknown[] }>('hydra', sets[0] ?? '')
  const readTable = (bytes: Buffer, name: string) =>
    readHydraTable(bytes, { name, secrets: SYSTEM_SECRETS })
  return [
    {
      name: 'hydra set',
      inputs: sets.map((file) =>
        input(['hydra', file], (bytes, name) => readHydraSet(bytes, { name })),
      ),
    },
    { name: 'hydra table', inputs: tables.map((file) => input(['hydra', file], readTable)) },
    {
      name: 'hydra sealed',
      inputs: set.keys.map((jwk, at) => ({
        file: `hydra/${sets[0]}#${at}`,
        bytes: Buffer.from(JSON.stringify(jwk)),
        read: (bytes) => readTable(sealHydra(bytes, SYSTEM_SECRETS[0] ?? ''), 'hydra_jwk.csv'),
      })),
    },
  ]
}
