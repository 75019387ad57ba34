import { setTimeout as delay } from 'node:timers/promises'
import { KeyturnError, StoreUnavailable } from '../errors.ts'

/** What a driver's error code, or its beginning, means and what to do about it. */
const HINTS: Readonly<Record<string, string>> = {
  SQLITE_READONLY: 'the database is read-only; check the permissions of its file and directory',
  SQLITE_FULL: 'the disk is full; free some space',
  SQLITE_CANTOPEN: 'the file cannot be opened; check that its directory exists and is writable',
  SQLITE_BUSY: 'another process has held the database for too long',
  SQLITE_CORRUPT: 'the file is damaged; restore a backup',
  SQLITE_NOTADB: 'the file is not a SQLite database',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full; free some space',
  EACCES: 'permission denied; check the owner of the directory',
  ENOENT: 'the directory does not exist',
  ...codes(
    ['ECONNREFUSED'],
    'nothing listens there; is the server running, and are host and port of database.url right?',
  ),
  ...codes(['ENOTFOUND', 'EAI_AGAIN'], 'the host name of database.url is not known'),
  ...codes(
    ['ETIMEDOUT', 'PROTOCOL_SEQUENCE_TIMEOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
    'the server does not answer within database.timeout',
  ),
  ...codes(
    ['57014', '55P03', 'ER_STATEMENT_TIMEOUT', 'ER_QUERY_TIMEOUT', 'ER_LOCK_WAIT_TIMEOUT'],
    'the server did not finish within database.timeout; it is overloaded or something holds a lock',
  ),
  ...codes(
    ['ECONNRESET', 'EPIPE', 'PROTOCOL_CONNECTION_LOST', '57P', '08', 'ER_SERVER_SHUTDOWN'],
    'the server closed the connection; it is restarting, or somebody ended the session',
  ),
  ...codes(
    ['28', 'ER_ACCESS_DENIED', 'ER_DBACCESS_DENIED'],
    'the server refuses the user or the password of database.url',
  ),
  ...codes(
    ['3D000', 'ER_BAD_DB', 'ER_NO_DB'],
    'the server has no such database; create it, or mend the name at the end of database.url',
  ),
  ...codes(
    ['53300', 'ER_CON_COUNT', 'ER_TOO_MANY_USER_CONNECTIONS', 'ER_USER_LIMIT_REACHED'],
    'the server has too many connections; lower database.connections or raise its limit',
  ),
  ...codes(
    ['25006', 'ER_OPTION_PREVENTS_STATEMENT', 'ER_READ_ONLY', 'ER_CANT_EXECUTE_IN_READ_ONLY'],
    'the server is read-only, such as a replica; database.url must name the primary',
  ),
  ...codes(['53100', 'ER_DISK_FULL', 'ER_RECORD_FILE_FULL'], 'the disk of the server is full'),
  ...codes(
    ['42501', 'ER_TABLEACCESS_DENIED', 'ER_SPECIFIC_ACCESS_DENIED'],
    'the user of database.url may not do this; it must own the tables of Keyturn',
  ),
  ...codes(
    ['42P01', 'ER_NO_SUCH_TABLE'],
    'a table is missing; bring the database up to date with: keyturn db migrate',
  ),
}

function codes(list: readonly string[], hint: string): Readonly<Record<string, string>> {
  return Object.fromEntries(list.map((code) => [code, hint]))
}

/** Drivers give these no code. */
const TIMEOUT_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated due to connection timeout)$/
const CLOSED_MESSAGES = /^(Connection terminated|Client has encountered a connection error)/

/** Two transactions were in each other's way, and one of them was undone whole. */
const CONFLICTS: readonly string[] = ['40001', '40P01', 'ER_LOCK_DEADLOCK', 'ER_CHECKREAD']

/**
 * Milliseconds that a connection waits for another process to let go of SQLite's write lock. It
 * waits inside the driver, where nothing else of this process runs, the JWKS included: hence briefly
 * and often, with pauses in which others are served.
 */
export const BUSY_TIMEOUT = 20
export const BUSY_PAUSE = 80
/** So many times: 5 seconds in all. */
export const BUSY_RETRIES = 50

/** Was another process or transaction in the way? Nothing was done then. */
export function isBusy(error: unknown): boolean {
  const { code = '' } = codeOf(error)
  return code.startsWith('SQLITE_BUSY') || CONFLICTS.includes(code)
}

/** Does the database hold a row with the same key? */
export function isDuplicate(error: unknown): boolean {
  return codeOf(error).code === 'ER_DUP_ENTRY'
}

/** Did the connection break while the database worked? It may have done what was asked, or not. */
function isBroken(error: unknown): boolean {
  const { code = '' } = codeOf(error)
  return BROKEN.some((prefix) => code.startsWith(prefix))
}

const BROKEN = [
  ...['ECONNRESET', 'EPIPE'],
  ...['57P01', '57P02', '08'],
  ...['PROTOCOL_CONNECTION_LOST', 'ER_CONNECTION_KILLED', 'ER_SERVER_SHUTDOWN'],
]

/** How often something is tried again whose connection broke: the next one may have broken too. */
const BROKEN_RETRIES = 3

/**
 * Runs `work`, again while others are in its way, of which nothing was done then; an error of a
 * driver becomes StoreUnavailable with what was attempted and a hint.
 */
export function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  return attemptFor({ busy: BUSY_RETRIES, broken: 0 }, what, work)
}

/**
 * The same for what ends as done once when it is done twice: again where its connection broke, too,
 * so that a connection which breaks costs a request some time and not its answer.
 */
export function attemptTwice<T>(what: string, work: () => Promise<T>): Promise<T> {
  return attemptFor({ busy: BUSY_RETRIES, broken: BROKEN_RETRIES }, what, work)
}

async function attemptFor<T>(
  retries: { readonly busy: number; readonly broken: number },
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  let { busy, broken } = retries
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof KeyturnError) throw error
      const mayRetry = isBusy(error) ? busy-- > 0 : isBroken(error) && broken-- > 0
      if (!mayRetry) throw storeUnavailable(what, error)
      await delay(BUSY_PAUSE)
    }
  }
}

export function storeUnavailable(what: string, error: unknown): StoreUnavailable {
  const { code, message } = codeOf(error)
  const known = Object.keys(HINTS).find((prefix) => code?.startsWith(prefix))
  return new StoreUnavailable(`Cannot ${what}: ${known ? HINTS[known] : message}`, error)
}

/** TypeORM wraps the driver's error and copies its fields; be it one or the other. */
function codeOf(error: unknown): { code: string | undefined; message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: String(error) }
  const { message } = error
  const { code } = error as NodeJS.ErrnoException
  if (typeof code === 'string') return { code, message }
  if (TIMEOUT_MESSAGES.test(message)) return { code: 'ETIMEDOUT', message }
  if (CLOSED_MESSAGES.test(message)) return { code: 'ECONNRESET', message }
  return { code: undefined, message }
}
