/** Codes of drivers' errors: one for each cause, where drivers have several or none. */

/** Error code for a connection in use that got no answer (`impatience.ts`). */
export const SILENT = 'KEYTURN_SILENT'
/** Error code for a server without TLS, for which pg has none. */
export const NO_TLS = 'KEYTURN_NO_TLS'

/** Codes, or their beginnings, by which a server refuses to write. */
export const READ_ONLY = [
  ...['25006', 'ER_OPTION_PREVENTS_STATEMENT', 'ER_READ_ONLY', 'ER_CANT_EXECUTE_IN_READ_ONLY'],
]

/** Code and message of a driver's error, wrapped by TypeORM or not. */
export function codeOf(error: unknown): { code: string | undefined; message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: String(error) }
  const { message } = error
  const { code, errno = 0 } = error as NodeJS.ErrnoException
  const ofMariadb = MARIADB_CODES[errno]
  if (ofMariadb !== undefined && typeof code !== 'string') return { code: ofMariadb, message }
  if (code === 'SQLITE_ERROR') return { code: sqliteCode(message), message }
  if (code === 'HANDSHAKE_SSL_ERROR') return { code: tlsCode(message), message }
  if (typeof code === 'string') return { code, message }
  if (TIMEOUT_MESSAGES.test(message)) return { code: 'ETIMEDOUT', message }
  if (CLOSED_MESSAGES.test(message)) return { code: 'ECONNRESET', message }
  if (NO_TLS_MESSAGES.test(message)) return { code: NO_TLS, message }
  return { code: undefined, message }
}

/** Codes for errors of SQLite by their message, because it has one code for all of them. */
export const NO_TABLE = 'SQLITE_ERROR_NO_TABLE'
export const MIGRATED_ALREADY = 'SQLITE_ERROR_MIGRATED_ALREADY'

function sqliteCode(message: string): string {
  if (/no such table:/.test(message)) return NO_TABLE
  return /(table|index) "?\w+"? already exists|duplicate column name/.test(message)
    ? MIGRATED_ALREADY
    : 'SQLITE_ERROR'
}

/** A code for a TLS error by its message, because mysql2 has the same code for all of them. */
function tlsCode(message: string): string {
  if (/altnames/.test(message)) return 'ERR_TLS_CERT_ALTNAME_INVALID'
  if (/expired/.test(message)) return 'CERT_HAS_EXPIRED'
  if (/self.signed|unable to (verify|get)/.test(message)) return 'CERT_UNTRUSTED'
  return 'HANDSHAKE_SSL_ERROR'
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
