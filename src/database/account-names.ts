import type { DataSource, QueryRunner } from 'typeorm'
import { nameKey, skeletonKey } from '../accounts/skeleton.ts'
import { isDuplicate } from './failures.ts'
import type { AccountRow } from './tables.ts'

export type NameKeys = Pick<AccountRow, 'nameKey' | 'skeletonKey'>

/** Accounts that are read at once. */
const PAGE = 500

export async function nameKeysOf(
  username: string,
): Promise<{ readonly nameKey: string; readonly skeletonKey: string }> {
  return { nameKey: nameKey(username), skeletonKey: await skeletonKey(username) }
}

/**
 * Gives name keys to accounts without them: those written by a version that knew no such keys, and
 * those whose skeleton an older account had. Of several old accounts with the same skeleton the
 * first in order of id gets the key, and the others stay without.
 * @param database with the columns; the runner in a migration
 * @param issuer issuer of the accounts; undefined if the table does not have issuers yet
 */
export async function fillNameKeys(
  database: DataSource | QueryRunner,
  issuer?: string,
): Promise<void> {
  const { driver } = 'driver' in database ? database : database.dataSource
  const place = (index: number) => driver.createParameter('p', index)
  const whose = issuer === undefined ? [] : [issuer]
  const isTheirs = (index: number) => (issuer === undefined ? '' : `AND issuer = ${place(index)}`)
  for (let last = ''; ; ) {
    const rows: { readonly id: string; readonly username: string }[] = await database.query(
      `SELECT id, username FROM account WHERE (name_key IS NULL OR skeleton_key IS NULL)
         AND id > ${place(0)} ${isTheirs(1)} ORDER BY id LIMIT ${PAGE}`,
      [last, ...whose],
    )
    for (const { id, username } of rows) {
      const keys = await nameKeysOf(username)
      const taken: unknown[] = await database.query(
        `SELECT id FROM account WHERE skeleton_key = ${place(0)} ${isTheirs(1)}`,
        [keys.skeletonKey, ...whose],
      )
      const values = taken.length > 0 ? [keys.nameKey] : [keys.nameKey, keys.skeletonKey]
      const columns = ['name_key', 'skeleton_key'].slice(0, values.length)
      const set = columns.map((column, index) => `${column} = ${place(index)}`).join(', ')
      const at = values.length
      const sql = `UPDATE account SET ${set} WHERE id = ${place(at)} ${isTheirs(at + 1)}`
      await database.query(sql, [...values, id, ...whose]).catch((error: unknown) => {
        // Another process gave the key to another account at the same moment.
        if (!isDuplicate(error)) throw error
      })
    }
    if (rows.length < PAGE) return
    last = rows.at(-1)?.id ?? last
  }
}
