import type { DataSource } from 'typeorm'
import { Refused } from '../errors.ts'
import { attempt } from './failures.ts'
import { nodeSchema } from './tables.ts'

/** Rows per read and write. */
const PAGE = 500

export interface CopiedTable {
  readonly table: string
  readonly rows: number
}

/**
 * Copies the whole content of a database into another one, of any engine: keys, events, clients,
 * people, consents and artifacts. Nodes are not copied, because they report themselves. All or
 * nothing.
 *
 * Both must have their tables (`migrate.ts`), and no process may write to either meanwhile.
 * @throws Refused if the target is not empty; StoreUnavailable
 */
export async function copyDatabase(
  source: DataSource,
  target: DataSource,
): Promise<readonly CopiedTable[]> {
  const names = source.entityMetadatas
    .map(({ name }) => name)
    .filter((name) => name !== nodeSchema.options.name)
  return attempt('copy the database', async () => {
    for (const name of names) {
      if ((await target.getRepository(name).count()) === 0) continue
      throw new Refused(
        'database_not_empty',
        { table: name },
        `Table ${name} of the target holds something already. Name a database without any of Keyturn.`,
      )
    }
    const copied: CopiedTable[] = []
    await target.transaction(async (manager) => {
      for (const name of names) {
        const { primaryColumns } = source.getMetadata(name)
        const order = Object.fromEntries(
          primaryColumns.map(({ propertyName }) => [propertyName, 'ASC' as const]),
        )
        let rows = 0
        for (;;) {
          const page = await source.getRepository(name).find({ order, skip: rows, take: PAGE })
          if (page.length > 0) await manager.getRepository(name).insert(page)
          rows += page.length
          if (page.length < PAGE) break
        }
        copied.push({ table: name, rows })
      }
    })
    return copied
  })
}
