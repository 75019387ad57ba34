import pg from 'pg'
import { StoreUnavailable } from '../errors.ts'
import { notSent } from './failures.ts'
import { silence } from './impatience.ts'

/**
 * Settings of a new connection to PostgreSQL. Nothing is set if a pooler may give the session to
 * another client after a transaction, because that client would get these settings.
 */
export interface PostgresSession {
  readonly isPostgres: boolean
  /** Longest time of a statement in seconds. */
  readonly timeout: number
  /** Further SET statements. */
  readonly settings: string
  /** True if the server must accept writes (`target_session_attrs`). */
  readonly isWritable: boolean
}

/**
 * Makes the function that pg's pool calls with each new connection.
 * @param options connection options, for two connections beside the pool's
 */
export function createSessionSetup(session: PostgresSession, options: pg.ClientConfig) {
  let asked: Promise<void> | undefined
  /**
   * Checks the sessions once for all connections; after a refusal it checks again, because the
   * problem may have been mended.
   */
  const assertSessions = () => {
    asked ??= assertSessionPooling(options, session.timeout).catch((error: unknown) => {
      asked = undefined
      throw error
    })
    return asked
  }
  return async (client: pg.ClientBase): Promise<void> => {
    // pg's own time limit covers the handshake only.
    const { stream } = (client as unknown as Inside).connection
    const timer = setTimeout(() => stream.destroy(silence()), session.timeout * 1000)
    try {
      await setUp(client, session, assertSessions)
    } catch (error) {
      throw notSent(error)
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Fields of pg's client that its types lack. */
interface Inside {
  readonly processID: number | null
  readonly connection: { readonly stream: { destroy(error: Error): void } }
}

async function setUp(
  client: pg.ClientBase,
  { isPostgres, timeout, settings, isWritable }: PostgresSession,
  assertSessions: () => Promise<void>,
): Promise<void> {
  const milliseconds = timeout * 1000
  if (!isPostgres) {
    await client.query(`SET statement_timeout = ${milliseconds}; ${settings}`)
    return
  }
  const { rows } = await client.query<{ pid: number; read_only: string }>(
    "SELECT pg_backend_pid() AS pid, current_setting('transaction_read_only') AS read_only",
  )
  const [first] = rows
  if (isWritable && first?.read_only === 'on') throw readOnly()
  // A pooler gives its clients process ids of its own.
  if (first?.pid !== (client as unknown as Inside).processID) await assertSessions()
  await client.query(`SET statement_timeout = ${milliseconds}; ${settings}`)
  const { rows: effects } = await client.query<{ milliseconds: string }>(
    "SELECT setting AS milliseconds FROM pg_settings WHERE name = 'statement_timeout'",
  )
  if (Number(effects[0]?.milliseconds) !== milliseconds) throw sharedSessions()
}

/**
 * Number of comparisons of two connections; one is enough unless other clients use the pooler
 * meanwhile.
 */
const ROUNDS = 3

/**
 * Checks, without writing, that each client of a pooler keeps its own session: two clients must not
 * get the same session in turn, and no client two sessions.
 * @throws StoreUnavailable if that is not so
 */
async function assertSessionPooling(options: pg.ClientConfig, timeout: number): Promise<void> {
  const bounded = { ...options, query_timeout: timeout * 1000 }
  const clients = [new pg.Client(bounded), new pg.Client(bounded)] as const
  const pidOf = async (client: pg.Client) => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    return rows[0]?.pid
  }
  try {
    for (const client of clients) {
      client.on('error', () => {})
      await client.connect()
    }
    const [first, second] = clients
    const own = await pidOf(first)
    for (let round = 0; round < ROUNDS; round++) {
      const other = await pidOf(second)
      const again = [await pidOf(first), await pidOf(first)]
      if (other === own || again.some((pid) => pid !== own)) throw sharedSessions()
    }
  } finally {
    for (const client of clients) client.end().catch(() => {})
  }
}

function sharedSessions(): StoreUnavailable {
  return new StoreUnavailable(
    'Cannot use the database of database.url: a pooler stands before PostgreSQL and gives a session to ' +
      'another client after each transaction or statement, so what Keyturn sets and prepares for a session would ' +
      'reach others, and not Keyturn. Use session mode (PgBouncer: pool_mode = session), or name PostgreSQL itself.',
  )
}

function readOnly(): Error {
  return Object.assign(new Error('the server is read-only'), { code: '25006' })
}
