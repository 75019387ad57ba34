import { setTimeout as delay } from 'node:timers/promises'
import { KeyturnError, StoreUnavailable } from '../errors.ts'
import { codeOf, READ_ONLY, SILENT } from './driver-code.ts'
import { reasonOf } from './failure-reason.ts'

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
