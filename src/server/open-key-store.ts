import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { DataSource } from 'typeorm'
import type { KnownIssuers } from '../database/known-issuers.ts'
import { createSqlKeyStores } from '../database/sql-key-stores.ts'
import { StoreUnavailable } from '../errors.ts'
import { createFileKeyStores } from '../ring/file-key-stores.ts'
import type { KeyStore } from '../ring/key-store.ts'
import type { KeyStores } from '../ring/key-stores.ts'
import { createMemoryKeyStores } from '../ring/memory-key-stores.ts'

export interface KeyStoreSettings {
  readonly type: 'database' | 'file' | 'module' | 'memory'
  /** Directory, for `file`. */
  readonly path: string
  /** Path of an ES module that exports `createKeyStore(): KeyStore | Promise<KeyStore>`. */
  readonly module: string | null
}

/** The methods every KeyStore has; a deployment's own store is checked for them at start. */
const METHODS = ['load', 'addKey', 'addTogether', 'eraseKey', 'removeKey', 'addEvents'] as const

/**
 * Opens the key stores that the configuration names.
 * @throws StoreUnavailable if a deployment's own module is no key store, or there are several
 * issuers for it
 */
export async function openKeyStores(
  settings: KeyStoreSettings,
  {
    dataSource,
    known,
    issuers,
  }: {
    readonly dataSource: DataSource
    readonly known: KnownIssuers
    /** Configured issuers. */
    readonly issuers: readonly string[]
  },
): Promise<KeyStores> {
  if (settings.type === 'database') return createSqlKeyStores(dataSource, known)
  if (settings.type === 'memory') return createMemoryKeyStores()
  if (settings.type === 'file') return createFileKeyStores(resolve(settings.path))
  if (issuers.length > 1) {
    throw new StoreUnavailable(
      `keyStore.module keeps the keys of one issuer, and ${issuers.length} are configured ` +
        `(${issuers.join(', ')}). Several need another type of keyStore.`,
    )
  }
  return ofOneIssuer(await importKeyStore(resolve(settings.module ?? '')))
}

/**
 * Key stores of a deployment's own module, which has no issuers: it keeps the keys of the only
 * issuer, and the secret.
 */
function ofOneIssuer(store: KeyStore): KeyStores {
  return {
    of: () => store,
    shared: store,
    issuers: async () => [],
    hasUnowned: async () => false,
    adopt: async () => {},
    rename: async () => {},
  }
}

async function importKeyStore(path: string): Promise<KeyStore> {
  const module: Record<string, unknown> = await import(pathToFileURL(path).href).catch(
    (cause: unknown) => {
      throw new StoreUnavailable(`keyStore.module ${path} cannot be loaded: ${cause}`, cause)
    },
  )
  const { createKeyStore } = module
  if (typeof createKeyStore !== 'function') {
    throw new StoreUnavailable(`keyStore.module ${path} does not export a function createKeyStore.`)
  }
  const store: Partial<KeyStore> = await createKeyStore()
  const missing = METHODS.filter((method) => typeof store?.[method] !== 'function')
  if (missing.length > 0) {
    throw new StoreUnavailable(
      `The store that createKeyStore of ${path} returned has no ${missing.join(', ')}. A key store ` +
        'has the methods of KeyStore in src/ring/key-store.ts.',
    )
  }
  // All methods were checked above.
  return store as KeyStore
}
