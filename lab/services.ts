import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { undoAtExit } from './leftovers.ts'

/**
 * Servers that tests use where they answer. Where one does not, its tests are skipped and say so;
 * with CI set, that is a failure.
 */

export type ServiceName = 'postgres' | 'mariadb' | 'redis'

const ADDRESSES: Readonly<Record<ServiceName, readonly [variable: string, standard: string]>> = {
  postgres: ['KEYTURN_TEST_POSTGRES', 'postgres://postgres@127.0.0.1:5432/postgres'],
  mariadb: ['KEYTURN_TEST_MARIADB', 'mysql://root@127.0.0.1:3306/'],
  redis: ['KEYTURN_TEST_REDIS', 'redis://127.0.0.1:6379'],
}

/** Where a service is, whether it answers or not. */
export function serviceUrl(name: ServiceName): string {
  const [variable, standard] = ADDRESSES[name]
  return process.env[variable] ?? standard
}

/** A database of its own, empty. */
export interface FreshDatabase extends AsyncDisposable {
  readonly url: string
  drop(): Promise<void>
}

export interface DatabaseService {
  /** Why its tests are skipped; undefined where it answers. */
  readonly skip: string | undefined
  create(): Promise<FreshDatabase>
  /** Runs a statement as the administrator of the server. */
  administer(sql: string): Promise<void>
}

/** Milliseconds that a service has to answer. */
const PATIENCE = 3000

/** @throws where it does not answer and CI is set */
export async function service(name: 'postgres' | 'mariadb'): Promise<DatabaseService> {
  const url = serviceUrl(name)
  const administer = ADMINISTER[name]
  const skip = await administer(url, 'SELECT 1').then(
    () => undefined,
    (error: Error) => unanswered(name, error),
  )
  return {
    skip,
    administer: (sql) => administer(url, sql),
    create: async () => {
      const database = `keyturn_test_${randomUUID().replaceAll('-', '')}`
      await administer(url, `CREATE DATABASE ${database}`)
      const own = new URL(url)
      own.pathname = database
      const force = name === 'postgres' ? ' WITH (FORCE)' : ''
      const statement = `DROP DATABASE IF EXISTS ${database}${force}`
      const isDropped = undoAtExit(() => administerNow(name, url, statement))
      const drop = async () => {
        await administer(url, statement)
        isDropped()
      }
      return { url: own.href, drop, [Symbol.asyncDispose]: drop }
    },
  }
}

/** The reason to skip the tests of a service. @throws it where CI is set */
function unanswered(name: ServiceName, { message, ...error }: Error): string {
  const code = 'code' in error ? String(error.code) : ''
  const reason = `${name} does not answer (${ADDRESSES[name][0]}): ${message || code}`
  if (process.env.CI) throw new Error(reason)
  return reason
}

/** At the exit of this process, when it can wait for nothing itself. */
function administerNow(name: keyof typeof ADMINISTER, url: string, sql: string): void {
  const program = `
    const { ADMINISTER } = await import(${JSON.stringify(import.meta.url)})
    await ADMINISTER[process.argv[1]](process.argv[2], process.argv[3])`
  const args = ['--input-type=module', '-e', program, name, url, sql]
  execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Runs a statement at a server. The program of `administerNow` imports it. @public */
export const ADMINISTER = { postgres: onPostgres, mariadb: onMariadb }

async function onPostgres(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: PATIENCE })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

async function onMariadb(uri: string, sql: string): Promise<void> {
  const connection = await createConnection({ uri, connectTimeout: PATIENCE })
  try {
    await connection.query(sql)
  } finally {
    await connection.end()
  }
}
