import type { Clock } from '../clock.ts'
import { engineOf, type ServerSettings, shareConnections } from '../connection/database-url.ts'
import type { ArtifactPlace } from '../database/artifact-place.ts'
import type { RedisConnection } from '../redis/connection.ts'

export interface ArtifactSettings {
  readonly database: ServerSettings
}

export interface ArtifactSurroundings {
  readonly clock: Clock
  readonly redis?: RedisConnection | undefined
  /** Wraps the store so that failures of the database are noted. */
  readonly watched?: <T extends object>(store: T) => T
}

/**
 * Opens the configured store of artifacts: Redis, with clients in the database, or the database
 * alone.
 * @throws StoreUnavailable
 */
export async function openArtifacts(
  { database }: ArtifactSettings,
  { clock, redis, watched = (store) => store }: ArtifactSurroundings,
): Promise<ArtifactPlace> {
  const inDatabase = watched(await openInDatabase(database, clock))
  if (!redis) return inDatabase
  const { openRedisArtifacts } = await import('../redis/redis-artifacts.ts')
  return openRedisArtifacts({ redis, clock, database: inDatabase })
}

async function openInDatabase(database: ServerSettings, clock: Clock): Promise<ArtifactPlace> {
  const engine = engineOf(database.url)
  if (engine === 'better-sqlite3') {
    const { openSqliteArtifacts } = await import('../database/sqlite-artifacts.ts')
    return openSqliteArtifacts(database, clock)
  }
  const connections = shareConnections(database.connections).artifacts
  const settings = { ...database, connections }
  const { createSqlArtifacts } = await import('../database/sql-artifacts.ts')
  if (engine === 'mysql') {
    const { openMysqlArtifacts } = await import('../database/mysql-artifacts.ts')
    return createSqlArtifacts(openMysqlArtifacts(settings), clock)
  }
  const { openPostgresArtifacts } = await import('../database/postgres-artifacts.ts')
  return createSqlArtifacts(openPostgresArtifacts(settings), clock)
}
