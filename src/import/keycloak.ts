import { ImportRefused } from '../errors.ts'
import { hasHeader } from './csv-rows.ts'
import type { NamedFile } from './duende.ts'
import {
  assertSomething,
  type Imported,
  type ImportedKey,
  type LeftOut,
  leftOut,
  withoutTwins,
} from './imported-key.ts'
import { assertSize, decodeText, INPUT_BYTES_MAX, parseJson } from './input.ts'
import { isAdminKeys, readAdminKeys } from './keycloak-admin-keys.ts'
import { componentsOf, type KeyProvider } from './keycloak-components.ts'
import { hasSecrets, keyOfProvider, useOf } from './keycloak-provider.ts'
import { createSourceWork } from './password-encryption.ts'
import { orRefusal, refusal } from './refusal.ts'
import type { Row } from './row.ts'
import { looksLikeDump, sqlRows } from './sql-dump.ts'
import { tableRows } from './table.ts'

export interface KeycloakOptions {
  readonly name: string
  /** Realm to read, needed if the file has several. */
  readonly realm?: string | undefined
  /** Keystores that providers of the kind java-keystore name. */
  readonly files?: readonly NamedFile[]
  /** Seconds since the epoch. */
  readonly now: number
}

/** Rows of the tables `component` and `component_config`, joined. */
const TABLE = {
  name: 'component_config',
  columns: ['id', 'name', 'provider_id', 'key', 'value', 'provider_type', 'realm_id'],
  optional: ['provider_type', 'realm_id'],
}
/** The two tables as Keycloak makes them, for dumps. */
const COMPONENT = {
  name: 'component',
  columns: ['id', 'name', 'parent_id', 'provider_id', 'provider_type', 'realm_id', 'sub_type'],
}
const CONFIG = { name: 'component_config', columns: ['id', 'component_id', 'name', 'value'] }

/**
 * Reads the keys of a realm from an export, from the answer of the admin API's `keys`, which has
 * public halves only, or from the rows of its components as CSV or a dump. Below the signing
 * key, published keys have no phase, because Keycloak does not know whether they are next or
 * old.
 * @throws ImportRefused `secrets_missing` for exports in which the private halves are masked
 */
export async function readKeycloak(bytes: Uint8Array, options: KeycloakOptions): Promise<Imported> {
  const { name } = options
  assertSize(bytes, INPUT_BYTES_MAX, name)
  const text = decodeText(bytes, name)
  const value = /^\s*[[{]/.test(text) ? parseJson(text, name) : rowsOf(text, name)
  const imported = isAdminKeys(value)
    ? await readAdminKeys(value, name)
    : await readProviders(componentsOf(value, options), options)
  assertSomething(imported, name)
  return imported
}

/** Rows from CSV, or from a dump of both tables, which are joined here. */
function rowsOf(text: string, name: string): readonly Row[] {
  if (!looksLikeDump(text) || hasHeader(text, TABLE))
    return tableRows(Buffer.from(text), TABLE, name)
  const components = new Map(sqlRows(text, COMPONENT, name).map((row) => [row.id, row]))
  return sqlRows(text, CONFIG, name).flatMap(({ component_id, name: key, value }) => {
    const component = components.get(component_id)
    return component ? [{ ...component, key, value }] : []
  })
}

async function readProviders(
  providers: readonly KeyProvider[],
  options: KeycloakOptions,
): Promise<Imported> {
  const { name } = options
  const asymmetric = providers.filter(({ kind }) => !/^(hmac|aes)-generated$/.test(kind))
  if (asymmetric.length > 0 && asymmetric.every((provider) => !hasSecrets(provider))) {
    throw refusal(
      'secrets_missing',
      `${name} is an export without secrets: Keycloak masks them in the partial export and in the admin API, and ` +
        'leaves the keys that it made out altogether. Export the realm on the server: kc.sh export --realm NAME --file FILE',
    )
  }
  const left: LeftOut[] = []
  const work = createSourceWork()
  const keys: { key: ImportedKey; provider: KeyProvider }[] = []
  for (const provider of [...providers].sort(byPriority)) {
    const key = await orRefusal(() => keyOfProvider(provider, { ...options, work }))
    if (key instanceof ImportRefused) {
      const isHarmless = !provider.enabled || useOf(provider) === 'enc'
      left.push(leftOut(provider.name, key, { kid: provider.config.kid, isHarmless }))
    } else keys.push({ key, provider })
  }
  const signing = new Set<string>()
  const withPhase = keys.map(({ key, provider }): ImportedKey => {
    if (!provider.enabled) return { ...key, phaseHint: 'disabled' }
    if (!provider.active) return { ...key, phaseHint: 'old' }
    if (key.use === 'enc' || signing.has(key.algorithm)) return key
    signing.add(key.algorithm)
    return { ...key, phaseHint: 'active' }
  })
  const single = withoutTwins(withPhase)
  return { keys: single.keys, left: [...left, ...single.left] }
}

/** Orders providers as Keycloak does: by priority, highest first, then by id. */
function byPriority(one: KeyProvider, other: KeyProvider): number {
  return other.priority - one.priority || (one.id < other.id ? -1 : 1)
}
