import { copyFile, cp, rm } from 'node:fs/promises'
import type { Config } from '../../src/config/schema.ts'
import { openDatabase, sqlitePath } from '../../src/database/database.ts'

/** A backup of a deployment whose servers are stopped, and what puts it back. */
export interface Backup {
  /** Puts it in the place of what there is now. */
  restore(): Promise<void>
}

/** Everything that a backup should hold of the key ring: the database, and a directory of keys. */
export async function backUp(config: Config): Promise<Backup> {
  const { database, keyStore } = config
  const own = database.url.startsWith('sqlite:')
    ? await backUpFile(sqlitePath(database.url))
    : await backUpRows(config)
  if (keyStore.type !== 'file') return own
  const keys = await backUpFolder(keyStore.path)
  return {
    restore: async () => {
      await own.restore()
      await keys.restore()
    },
  }
}

async function backUpFile(path: string): Promise<Backup> {
  await copyFile(path, `${path}.backup`)
  return {
    restore: async () => {
      for (const end of ['', '-wal', '-shm']) await rm(`${path}${end}`, { force: true })
      await copyFile(`${path}.backup`, path)
    },
  }
}

async function backUpFolder(path: string): Promise<Backup> {
  await cp(path, `${path}.backup`, { recursive: true })
  return {
    restore: async () => {
      await rm(path, { recursive: true })
      await cp(`${path}.backup`, path, { recursive: true })
    },
  }
}

/** What a dump of a database server comes to: the rows of every table. */
async function backUpRows({ database }: Config): Promise<Backup> {
  const open = () => openDatabase(database)
  const before = await open()
  const tables = await Promise.all(
    before.entityMetadatas.map(async ({ target }) => ({
      target,
      rows: await before.getRepository(target).find(),
    })),
  )
  await before.destroy()
  return {
    restore: async () => {
      const now = await open()
      await now.transaction(async (manager) => {
        for (const { target, rows } of tables) {
          await manager.createQueryBuilder().delete().from(target).execute()
          await manager.getRepository(target).insert(rows)
        }
      })
      await now.destroy()
    },
  }
}
