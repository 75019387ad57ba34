import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { undoAtExit } from './leftovers.ts'

/**
 * Servers that tests use if they answer. Tests of a server that does not answer are skipped with a
 * reason; with CI set they fail.
 */

export type ServiceName = 'postgres' | 'mariadb' | 'redis'

const ADDRESSES: Readonly<Record<ServiceName, readonly [variable: string, standard: string]>> = {
  postgres: ['KEYTURN_TEST_POSTGRES', 'postgres://postgres@127.0.0.1:5432/postgres'],
  mariadb: ['KEYTURN_TEST_MARIADB', 'mysql://root@127.0.0.1:3306/'],
  redis: ['KEYTURN_TEST_REDIS', 'redis://127.0.0.1:6379'],
}

/** URL of a service, whether it answers or not. */
export function serviceUrl(name: ServiceName): string {
  const [variable, standard] = ADDRESSES[name]
  return process.env[variable] ?? standard
}

/** A new empty database. */
export interface FreshDatabase extends AsyncDisposable {
  readonly url: string
  drop(): Promise<void>
}

export interface DatabaseService {
  /** Reason to skip the tests; undefined if the service answers. */
  readonly skip: string | undefined
  create(): Promise<FreshDatabase>
  /** Runs a statement as the administrator of the server. */
  administer(sql: string): Promise<void>
}

/** Milliseconds that a service has to answer. */
const ANSWER_LIMIT = 3000

/** @throws if the service does not answer and CI is set */
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

/** The reason to skip the tests of a service. @throws the reason if CI is set */
function unanswered(name: ServiceName, { message, ...error }: Error): string {
  const code = 'code' in error ? String(error.code) : ''
  const reason = `${name} does not answer (${ADDRESSES[name][0]}): ${message || code}`
  if (process.env.CI) throw new Error(reason)
  return reason
}

/** Runs a statement in another process at the exit of this one, which cannot wait any more. */
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
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: ANSWER_LIMIT })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

async function onMariadb(uri: string, sql: string): Promise<void> {
  const connection = await createConnection({ uri, connectTimeout: ANSWER_LIMIT })
  try {
    await connection.query(sql)
  } finally {
    await connection.end()
  }
}
