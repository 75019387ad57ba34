import { existsSync } from 'node:fs'
import type { Config } from '../config/schema.ts'
import { isEmbedded, shownUrl } from '../connection/database-url.ts'
import { openDatabase, sqlitePath } from '../database/database.ts'
import { hasTables } from '../database/migrate.ts'
import { NotFound } from '../errors.ts'

/**
 * Makes sure that the database exists, for commands that never make one, because an empty database
 * in the wrong directory would look like lost keys.
 * @throws NotFound if there is no file, or the server lacks Keyturn's tables
 */
export async function assertDatabase({ database }: Pick<Config, 'database'>): Promise<void> {
  if (isEmbedded(database.url)) {
    const place = sqlitePath(database.url)
    if (existsSync(place)) return
    throw new NotFound(
      'database_not_found',
      { place, isEmbedded: true },
      `There is no database at ${place} (database.url). The first start of the server makes it. ` +
        'If there should be one: is this its directory, and its configuration?',
    )
  }
  const dataSource = await openDatabase(database)
  try {
    if (await hasTables(dataSource)) return
  } finally {
    await dataSource.destroy()
  }
  const place = shownUrl(database.url)
  throw new NotFound(
    'database_not_found',
    { place, isEmbedded: false },
    `The database ${place} (database.url) has no tables of Keyturn. The first start of the server ` +
      'makes them. If it should have them: is database.url the right one?',
  )
}
