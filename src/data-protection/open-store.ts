import type { DataSourceOptions } from 'typeorm'
import { engineOf, shownUrl } from '../connection/database-url.ts'
import { openDirectoryStore } from './directory-store.ts'
import { type GivenElement, openElementStore } from './element-store.ts'
import { KeyRingUnreadable } from './errors.ts'
import { openRedisStore, type RedisLists } from './redis-store.ts'
import type { RingStore } from './ring-store.ts'
import { openSqlStore, type RingDatabase } from './sql-store.ts'

/** Where a ring is: exactly one of these. */
export interface RingSource {
  /** Path of the directory of `PersistKeysToFileSystem`. */
  readonly directory?: string
  /** A URL such as `redis://host:6379`, a client of ioredis, or one with the key of the list. */
  readonly redis?:
    | string
    | RedisLists
    | { readonly client: string | RedisLists; readonly list?: string }
  /** A URL such as `postgres://user@host/app`, a `DataSource` of TypeORM, or one with the name of the table. */
  readonly database?:
    | string
    | RingDatabase
    | { readonly dataSource: string | RingDatabase; readonly table?: string }
  /** XML of each element, in the order of their store; they are only read. */
  readonly elements?: readonly GivenElement[]
}

/**
 * Opens the store of a ring. Connections that are opened for it end with it; those that are given stay.
 * @throws TypeError unless exactly one source is told; KeyRingUnreadable `ring_unavailable`
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
  // A ring that cannot be read is told at once; who reads it again later connects again.
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

/** For pg, which waits for ever unless told; mysql2 waits as long by itself. */
const CONNECTING = { connectionTimeoutMillis: 10_000 }

async function dataSourceOptions(url: string): Promise<DataSourceOptions> {
  const type = engineOf(url)
  switch (type) {
    case 'better-sqlite3': {
      // By its alias in package.json, under which TypeORM does not find it.
      const { default: driver } = await import('better-sqlite3-napi')
      return { type, driver, database: url.slice('sqlite:'.length), fileMustExist: true }
    }
    case 'postgres':
      return { type, url, extra: CONNECTING }
    case 'mysql':
      return { type, url: url.replace(/^mariadb:/, 'mysql:') }
  }
}
