import { setTimeout as delay } from 'node:timers/promises'
import { KeyturnError, StoreUnavailable } from '../errors.ts'

/** Error code for a connection in use that got no answer (`impatience.ts`). */
export const SILENT = 'KEYTURN_SILENT'
/** Error code for a server without TLS, for which pg has none. */
const NO_TLS = 'KEYTURN_NO_TLS'

const READ_ONLY = [
  ...['25006', 'ER_OPTION_PREVENTS_STATEMENT', 'ER_READ_ONLY', 'ER_CANT_EXECUTE_IN_READ_ONLY'],
]

/** Meaning of drivers' error codes, or of their beginning, and how to mend the problem. */
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
    [SILENT],
    'the server does not answer within database.timeout; it is gone, overloaded, or waits for another: ' +
      'PostgreSQL for a synchronous standby, Galera for a node that died (evs.suspect_timeout, 5 s by default)',
  ),
  ...codes(
    ['57014', '55P03', 'ER_STATEMENT_TIMEOUT', 'ER_QUERY_TIMEOUT', 'ER_LOCK_WAIT_TIMEOUT'],
    'the server did not finish within database.timeout; it is overloaded or something holds a lock. ' +
      'In a Galera cluster a node that died stops commits for evs.suspect_timeout, 5 s by default: ' +
      'let database.timeout be longer, such as 10s',
  ),
  ...codes(
    ['ECONNRESET', 'EPIPE', 'PROTOCOL_CONNECTION_LOST', '57P01', '57P02', 'ER_SERVER_SHUTDOWN'],
    'the server closed the connection; it is restarting, or somebody ended the session',
  ),
  ...codes(['57P03'], 'the server does not take connections yet, or no more'),
  // Other refusals of a connection by a server or a pooler; its own words follow.
  ...codes(['08'], 'the server, or a pooler before it, refuses the connection'),
  ...codes(
    // WSREP's code for a node that may not serve; mysql2 has the number's old name.
    ['ER_UNKNOWN_COM_ERROR'],
    'this node of the Galera cluster does not serve: it has lost the others and so the quorum, or is still ' +
      "joining. If all of them are so: SHOW STATUS LIKE 'wsrep_cluster_status' (docs/engines.md)",
  ),
  ...codes(
    ['HANDSHAKE_NO_SSL_SUPPORT', NO_TLS],
    'database.url asks for TLS and the server offers none; switch it on there, or write sslmode=disable',
  ),
  ...codes(
    ['ER_SECURE_TRANSPORT_REQUIRED'],
    'the server takes TLS only; add sslmode=verify-full (or require) to database.url',
  ),
  ...codes(
    [
      ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'CERT_UNTRUSTED'],
      ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT'],
    ],
    'nobody who is trusted vouches for the certificate of the server; name its authority with ' +
      'sslrootcert=FILE in database.url',
  ),
  ...codes(
    ['ERR_TLS_CERT_ALTNAME_INVALID'],
    'the certificate of the server is for another host; name the host that it is for in database.url, or ' +
      'write sslmode=verify-ca, which does not compare it',
  ),
  ...codes(['CERT_HAS_EXPIRED'], 'the certificate of the server has expired'),
  ...codes(
    ['EPROTO', 'ERR_SSL', 'HANDSHAKE_SSL_ERROR'],
    'TLS could not be agreed on with the server; does it speak TLS on this port?',
  ),
  ...codes(
    ['28', 'ER_ACCESS_DENIED', 'ER_DBACCESS_DENIED'],
    'the server refuses the user or the password of database.url, or a connection of this kind',
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
    READ_ONLY,
    'the server is read-only, such as a replica; database.url must name the primary',
  ),
  ...codes(['53100', 'ER_DISK_FULL', 'ER_RECORD_FILE_FULL'], 'the disk of the server is full'),
  ...codes(
    ['42501', 'ER_TABLEACCESS_DENIED', 'ER_SPECIFIC_ACCESS_DENIED'],
    'the user of database.url may not do this; it must own the tables of Keyturn',
  ),
  ...codes(
    ['42P01', 'ER_NO_SUCH_TABLE'],
    'a table is missing: the database has to be migrated, which each start of a server does',
  ),
}

function codes(list: readonly string[], hint: string): Readonly<Record<string, string>> {
  return Object.fromEntries(list.map((code) => [code, hint]))
}

/** Names for MariaDB's own error numbers, which mysql2 lacks. */
const MARIADB_CODES: Readonly<Record<number, string>> = {
  1927: 'ER_CONNECTION_KILLED',
  1969: 'ER_STATEMENT_TIMEOUT',
}

/** Messages of time-outs, to which drivers give no code. */
const TIMEOUT_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated due to connection timeout)$/
const CLOSED_MESSAGES =
  /^(Connection terminated|Client has encountered a connection error|Can't add new command when connection is in closed state)/
const NO_TLS_MESSAGES = /^The server does not support SSL connections$/

/** Errors of conflicting transactions, of which the failing one was rolled back completely. */
const CONFLICTS: readonly string[] = ['40001', '40P01', 'ER_LOCK_DEADLOCK', 'ER_CHECKREAD']

/**
 * Milliseconds that a connection waits for SQLite's write lock of another process. The driver
 * blocks the whole process meanwhile, including the JWKS, so the wait is short and repeated, with
 * pauses in which requests are served.
 */
export const BUSY_TIMEOUT = 20
export const BUSY_PAUSE = 80
/** Number of such waits, 5 seconds in all. */
export const BUSY_RETRIES = 50

/** True if another process or transaction prevented the work, so that nothing was done. */
export function isBusy(error: unknown): boolean {
  const { code = '' } = codeOf(error)
  return code.startsWith('SQLITE_BUSY') || CONFLICTS.includes(code)
}

/** True if the database has a row with the same key. */
export function isDuplicate(error: unknown): boolean {
  return DUPLICATES.includes(codeOf(error).code ?? '')
}

const DUPLICATES = [
  'ER_DUP_ENTRY',
  '23505',
  'SQLITE_CONSTRAINT_UNIQUE',
  'SQLITE_CONSTRAINT_PRIMARYKEY',
]

/** True if the connection broke during the work, which may have been done or not. */
function isBroken(error: unknown): boolean {
  const { code = '' } = codeOf(error)
  return BROKEN.some((prefix) => code.startsWith(prefix))
}

const BROKEN = [
  ...['ECONNRESET', 'EPIPE'],
  ...['57P01', '57P02', '08'],
  ...['PROTOCOL_CONNECTION_LOST', 'ER_CONNECTION_KILLED', 'ER_SERVER_SHUTDOWN'],
]

/**
 * True if the answer may have been lost after the request was sent. The server may have done the
 * work, or may do it later, as PostgreSQL does when its synchronous standby comes back.
 */
function isAnswerLost(error: unknown): boolean {
  const { code = '' } = codeOf(error)
  const isSent = !(error as { readonly isNotSent?: boolean }).isNotSent
  return isSent && (isBroken(error) || LOST.includes(code))
}

const LOST = [
  ...[SILENT, 'ETIMEDOUT', 'ER_ERROR_DURING_COMMIT'],
  // A Galera node that waits for others may have sent them its transaction.
  ...['ER_STATEMENT_TIMEOUT', 'ER_QUERY_INTERRUPTED'],
]

/** Marks an error that happened before a request was sent, such as in the setup of a connection. */
export function notSent<T>(error: T): T {
  return error instanceof Error ? Object.assign(error, { isNotSent: true }) : error
}

/** Number of retries after a broken connection, because the next connection may be broken too. */
const BROKEN_RETRIES = 3

/**
 * Runs `work`, and retries it while other transactions prevent it, because nothing was done then.
 * An error of a driver becomes StoreUnavailable with what was attempted and a hint.
 */
export function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  return attemptFor({ busy: BUSY_RETRIES, broken: 0, isRead: false }, what, work)
}

/**
 * Like `attempt`, for idempotent work: also retried when the connection broke, so that a broken
 * connection only delays a request.
 */
export function attemptIdempotent<T>(what: string, work: () => Promise<T>): Promise<T> {
  return attemptFor({ busy: BUSY_RETRIES, broken: BROKEN_RETRIES, isRead: false }, what, work)
}

/** Like `attemptIdempotent`, for reads: without an answer nothing can have been changed. */
export function attemptRead<T>(what: string, work: () => Promise<T>): Promise<T> {
  return attemptFor({ busy: BUSY_RETRIES, broken: BROKEN_RETRIES, isRead: true }, what, work)
}

interface Retries {
  readonly busy: number
  readonly broken: number
  readonly isRead: boolean
}

async function attemptFor<T>(
  { isRead, ...retries }: Retries,
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
      if (!mayRetry) throw storeUnavailable(what, error, { isRead })
      await delay(BUSY_PAUSE)
    }
  }
}

/**
 * @param options isRead: true for work that changes nothing, so that a lost answer leaves no doubt
 */
export function storeUnavailable(
  what: string,
  error: unknown,
  { isRead = false } = {},
): StoreUnavailable {
  const reason = reasonOf(error)
  if (isRead || !isAnswerLost(error))
    return new StoreUnavailable(`Cannot ${what}: ${reason}`, error)
  return new StoreUnavailable(
    `It is not known whether this was done: ${what}. No answer came, because ${reason}. It may have been ` +
      'done, or be done once the server is back: check, and repeat it if it was not done.',
    error,
    { mayBeDone: true },
  )
}

/** True if the server is read-only, like a replica or an old primary. */
export function isReadOnly(error: unknown): boolean {
  const cause = error instanceof StoreUnavailable ? error.cause : error
  const { code = '' } = codeOf(cause)
  return READ_ONLY.some((prefix) => code.startsWith(prefix))
}

/**
 * The reason in words, with the server's own words if there are any, because a hint may be a guess.
 */
function reasonOf(error: unknown): string {
  const { code, message } = codeOf(error)
  const known = Object.keys(HINTS).find((prefix) => code?.startsWith(prefix))
  if (!known) return message
  return saidByServer(error) ? `${HINTS[known]} (it says: ${message})` : `${HINTS[known]}`
}

/**
 * True for errors of servers, which have a severity (pg) or a state (mysql2), unlike those of
 * drivers and systems.
 */
function saidByServer(error: unknown): boolean {
  const { severity, sqlState } = error as { severity?: unknown; sqlState?: unknown }
  return typeof severity === 'string' || typeof sqlState === 'string'
}

/** Code and message of a driver's error, wrapped by TypeORM or not. */
function codeOf(error: unknown): { code: string | undefined; message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: String(error) }
  const { message } = error
  const { code, errno = 0 } = error as NodeJS.ErrnoException
  const ofMariadb = MARIADB_CODES[errno]
  if (ofMariadb !== undefined && typeof code !== 'string') return { code: ofMariadb, message }
  if (code === 'HANDSHAKE_SSL_ERROR') return { code: tlsCode(message), message }
  if (typeof code === 'string') return { code, message }
  if (TIMEOUT_MESSAGES.test(message)) return { code: 'ETIMEDOUT', message }
  if (CLOSED_MESSAGES.test(message)) return { code: 'ECONNRESET', message }
  if (NO_TLS_MESSAGES.test(message)) return { code: NO_TLS, message }
  return { code: undefined, message }
}

/** A code for a TLS error by its message, because mysql2 has the same code for all of them. */
function tlsCode(message: string): string {
  if (/altnames/.test(message)) return 'ERR_TLS_CERT_ALTNAME_INVALID'
  if (/expired/.test(message)) return 'CERT_HAS_EXPIRED'
  if (/self.signed|unable to (verify|get)/.test(message)) return 'CERT_UNTRUSTED'
  return 'HANDSHAKE_SSL_ERROR'
}
