import { codeOf, MIGRATED_ALREADY, NO_TABLE, NO_TLS, READ_ONLY, SILENT } from './driver-code.ts'

/**
 * The reason in words, with the server's own words if there are any, because a hint may be a guess.
 */
export function reasonOf(error: unknown): string {
  const { code, message } = codeOf(error)
  const known = Object.keys(HINTS).find((prefix) => code?.startsWith(prefix))
  if (!known) return message
  return saidByServer(error) || [NO_TABLE, MIGRATED_ALREADY].includes(known)
    ? `${HINTS[known]} (it says: ${message})`
    : `${HINTS[known]}`
}

/**
 * True for errors of servers, which have a severity (pg) or a state (mysql2), unlike those of
 * drivers and systems.
 */
function saidByServer(error: unknown): boolean {
  const { severity, sqlState } = error as { severity?: unknown; sqlState?: unknown }
  return typeof severity === 'string' || typeof sqlState === 'string'
}

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
    [NO_TABLE, '42P01', 'ER_NO_SUCH_TABLE'],
    'a table is missing: the database was removed, or restored only in part. Restore the whole of it; one that ' +
      'is empty is migrated by each start of a server',
  ),
  ...codes(
    [MIGRATED_ALREADY, '42P07', '42701', 'ER_TABLE_EXISTS', 'ER_DUP_KEYNAME', 'ER_DUP_FIELDNAME'],
    'what a migration was to make is there already: the database was restored only in part, without its list ' +
      'of migrations, or has tables of another program. Restore the whole of it, or name an empty one',
  ),
}

function codes(list: readonly string[], hint: string): Readonly<Record<string, string>> {
  return Object.fromEntries(list.map((code) => [code, hint]))
}
