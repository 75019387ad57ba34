import { type DataSource, type EntityManager, In, MoreThan, Not } from 'typeorm'
import { DEPLOYMENT_RING } from '../ring/deployment.ts'
import { attempt, attemptRead } from './failures.ts'
import {
  accountSchema,
  auditSchema,
  clientSchema,
  consentSchema,
  keyEventSchema,
  keySchema,
} from './tables.ts'
import { withoutHurry } from './unhurried.ts'

/** Number of an issuer's records in a database. */
export interface IssuerCounts {
  readonly keys: number
  readonly accounts: number
  readonly clients: number
}

/** The issuers whose records a database has. */
export interface KnownIssuers {
  /** All issuers, in order. */
  list(): Promise<readonly string[]>
  /** True if the database has records of any of these issuers. */
  hasAnyOf(issuers: readonly string[]): Promise<boolean>
  /** True if there are records without an issuer, from a version that knew only one. */
  hasUnowned(): Promise<boolean>
  count(issuer: string): Promise<IssuerCounts>
  /**
   * Gives the records without an issuer to this one, except the secret of the deployment. All or
   * nothing.
   */
  adopt(issuer: string): Promise<void>
  /** Gives all records of an issuer to another one without records. All or nothing. Idempotent. */
  rename(from: string, to: string): Promise<void>
}

const TABLES = [keySchema, keyEventSchema, clientSchema, accountSchema, consentSchema, auditSchema]

/** The issuer of records without one, such as the secret of the deployment. */
const UNOWNED = { issuer: '' }
const UNOWNED_KEYS = { issuer: '', ring: Not(DEPLOYMENT_RING) }

export function createKnownIssuers(dataSource: DataSource): KnownIssuers {
  const { manager } = dataSource
  const existsAnywhere = async (where: object, ofKeys = where) => {
    for (const table of TABLES) {
      const condition = table === keySchema ? ofKeys : where
      if (await manager.existsBy(table, condition)) return true
    }
    return false
  }
  /** Finds the next issuer by an index, because a table of people may be large. */
  const nextAfter = async (last: string): Promise<string | undefined> => {
    const found = await Promise.all(
      TABLES.map((table) =>
        manager.findOne(table, {
          select: { issuer: true },
          where: { issuer: MoreThan(last) },
          order: { issuer: 'ASC' },
        }),
      ),
    )
    return found.flatMap((row) => row?.issuer ?? []).toSorted()[0]
  }
  const moveAll = async (from: string, to: string, through: EntityManager) => {
    for (const table of TABLES) {
      const where = from === '' && table === keySchema ? UNOWNED_KEYS : { issuer: from }
      await through.update(table, where, { issuer: to })
    }
  }

  return {
    list: () =>
      attemptRead('read the issuers of the database', async () => {
        const issuers: string[] = []
        for (let last = await nextAfter(''); last !== undefined; last = await nextAfter(last)) {
          issuers.push(last)
        }
        return issuers
      }),
    hasAnyOf: (issuers) =>
      attemptRead('read the issuers of the database', () =>
        existsAnywhere({ issuer: In([...issuers]) }),
      ),
    hasUnowned: () =>
      attemptRead('read the issuers of the database', () => existsAnywhere(UNOWNED, UNOWNED_KEYS)),
    count: (issuer) =>
      attemptRead('count what an issuer has', async () => ({
        keys: await manager.countBy(keySchema, { issuer }),
        accounts: await manager.countBy(accountSchema, { issuer }),
        clients: await manager.countBy(clientSchema, { issuer }),
      })),
    adopt: (issuer) =>
      attempt('give the records of the database to their issuer', () =>
        withoutHurry(dataSource, (runner) => moveAll('', issuer, runner.manager)),
      ),
    rename: (from, to) =>
      attempt('rename an issuer', () =>
        withoutHurry(dataSource, (runner) => moveAll(from, to, runner.manager)),
      ),
  }
}
