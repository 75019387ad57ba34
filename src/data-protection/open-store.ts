import type { DataSourceOptions } from 'typeorm'
import { engineOf, shownUrl } from '../connection/database-url.ts'
import { openDirectoryStore } from './directory-store.ts'
import { type GivenElement, openElementStore } from './element-store.ts'
import { KeyRingUnreadable } from './errors.ts'
import { openRedisStore, type RedisLists } from './redis-store.ts'
import type { RingStore } from './ring-store.ts'
import { openSqlStore, type RingDatabase } from './sql-store.ts'

/** Place of a ring: exactly one of these members. */
export interface RingSource {
  /** Path of the directory of `PersistKeysToFileSystem`. */
  readonly directory?: string
  /** A URL such as `redis://host:6379`, an ioredis client, or either with the key of the list. */
  readonly redis?:
    | string
    | RedisLists
    | { readonly client: string | RedisLists; readonly list?: string }
  /**
   * A URL such as `postgres://user@host/app`, a TypeORM `DataSource`, or either with the name of
   * the table.
   */
  readonly database?:
    | string
    | RingDatabase
    | { readonly dataSource: string | RingDatabase; readonly table?: string }
  /** XML of each element, in the order of the store. Given elements are only read. */
  readonly elements?: readonly GivenElement[]
}

/**
 * Opens the store of a ring. Closing it ends the connections that were opened for it, but not given
 * ones.
 * @throws TypeError unless exactly one source is given; KeyRingUnreadable `ring_unavailable`
 */
export async function openRingStore(source: RingSource): Promise<RingStore> {
  const { directory, redis, database, elements } = source
  const told = [directory, redis, database, elements].filter((one) => one !== undefined)
  if (told.length !== 1) {
    throw new TypeError(
      'A key ring is opened from exactly one of: directory, redis, database, elements',
    )
  }
  if (directory !== undefined) return openDirectoryStore(directory)
  if (redis !== undefined) return openRedis(redis)
  if (database !== undefined) return openSql(database)
  return openElementStore(elements ?? [])
}

async function openRedis(redis: NonNullable<RingSource['redis']>): Promise<RingStore> {
  const { client, ...options } =
    typeof redis === 'object' && 'client' in redis ? redis : { client: redis }
  if (typeof client !== 'string') return openRedisStore({ client, ...options })
  const { Redis } = await import('ioredis')
  // An unreadable ring is reported at once; a later read connects again.
  const own = new Redis(client, { lazyConnect: true, maxRetriesPerRequest: 1 })
  own.on('error', () => {})
  return openRedisStore({ client: own, ...options, close: async () => own.disconnect() })
}

async function openSql(database: NonNullable<RingSource['database']>): Promise<RingStore> {
  const { dataSource, ...options } =
    typeof database === 'object' && 'dataSource' in database ? database : { dataSource: database }
  if (typeof dataSource !== 'string') return openSqlStore({ database: dataSource, ...options })
  const { DataSource } = await import('typeorm')
  const own = new DataSource(await dataSourceOptions(dataSource))
  const where = shownUrl(dataSource)
  try {
    await own.initialize()
  } catch (error) {
    const { message } = error as Error
    throw new KeyRingUnreadable(
      'ring_unavailable',
      `The key ring in ${where} cannot be reached: ${message}`,
      error,
    )
  }
  return openSqlStore({ database: own, where, ...options, close: () => own.destroy() })
}

/** Option of pg, which otherwise waits for ever; mysql2 waits 10 seconds by default. */
const CONNECTING = { connectionTimeoutMillis: 10_000 }

async function dataSourceOptions(url: string): Promise<DataSourceOptions> {
  const type = engineOf(url)
  switch (type) {
    case 'better-sqlite3': {
      // The driver has an alias in package.json, under which TypeORM does not find it.
      const { default: driver } = await import('better-sqlite3-napi')
      return { type, driver, database: url.slice('sqlite:'.length), fileMustExist: true }
    }
    case 'postgres':
      return { type, url, extra: CONNECTING }
    case 'mysql':
      return { type, url: url.replace(/^mariadb:/, 'mysql:') }
  }
}
