import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { DataSource } from 'typeorm'
import { createSqlKeyStore } from '../database/sql-key-store.ts'
import { StoreUnavailable } from '../errors.ts'
import { createFileKeyStore } from '../ring/file-key-store.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { createMemoryKeyStore } from '../ring/memory-key-store.ts'

export interface KeyStoreSettings {
  readonly type: 'database' | 'file' | 'module' | 'memory'
  /** Directory, for `file`. */
  readonly path: string
  /** Path of an ES module that exports `createKeyStore(): KeyStore | Promise<KeyStore>`. */
  readonly module: string | null
}

/** The methods every KeyStore has; a deployment's own store is checked for them at start. */
const METHODS = ['load', 'addKey', 'eraseKey', 'removeKey', 'addEvents'] as const

/**
 * Opens the key store that the configuration names.
 * @throws StoreUnavailable where a deployment's own module is none
 */
export async function openKeyStore(
  settings: KeyStoreSettings,
  dataSource: DataSource,
): Promise<KeyStore> {
  if (settings.type === 'database') return createSqlKeyStore(dataSource)
  if (settings.type === 'memory') return createMemoryKeyStore()
  if (settings.type === 'file') return createFileKeyStore(resolve(settings.path))
  return importKeyStore(resolve(settings.module ?? ''))
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
  // No method is missing, as was just seen.
  return store as KeyStore
}
