import { resolve } from 'node:path'
import { filePathProblem } from '../values/path.ts'
import { type ConnectionUrl, parseConnectionUrl, type UrlDialect } from './connection-url.ts'

/** Parses and checks database URLs before a connection is opened. */

/** A database server: how to reach it and how long to wait for it. */
export interface ServerSettings {
  readonly url: string
  /** Most connections of this process. */
  readonly connections: number
  /** Longest wait for an answer of the server in seconds. */
  readonly timeout: number
  /**
   * `cluster`, the default: a node's answers include everything that any node of its cluster has
   * confirmed.
   */
  readonly consistency?: 'cluster' | 'node' | undefined
  /**
   * `full`: writes of artifacts wait for the disk (and a synchronous standby) as those of keys do.
   */
  readonly durability?: 'full' | 'relaxed' | undefined
}

export type Engine = 'better-sqlite3' | 'postgres' | 'mysql'

const ENGINES: Readonly<Record<string, Engine>> = {
  'sqlite:': 'better-sqlite3',
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mysql',
}

const FORM =
  'sqlite:PATH, or postgres://, mysql:// or mariadb:// with ' +
  'USER:PASSWORD@HOST:PORT/DATABASE (in a user or password write # as %23, / as %2F, @ as %40)'

const ANY = { pattern: /^/, words: 'text' }
const TIMEOUT = 'the setting database.timeout says how long to wait'
const CONNECTIONS = 'the setting database.connections says how many there are'
const ALWAYS_UTC = 'Keyturn speaks UTC and UTF-8 with every server'
const INSTEAD = {
  ...Object.fromEntries(
    [
      ...['connecttimeout', 'timeout', 'sockettimeout', 'statementtimeout', 'querytimeout'],
      ...['pooltimeout', 'connectiontimeout', 'logintimeout', 'tcpusertimeout', 'locktimeout'],
    ].map((key) => [key, TIMEOUT]),
  ),
  ...Object.fromEntries(
    ['connectionlimit', 'poolsize', 'maxpoolsize', 'max', 'pool'].map((key) => [key, CONNECTIONS]),
  ),
  ...Object.fromEntries(['timezone', 'servertimezone'].map((key) => [key, ALWAYS_UTC])),
}
const SEVERAL = 'put a proxy before several servers and name that'

const POSTGRES: UrlDialect = {
  schemes: ['postgres:', 'postgresql:'],
  form: FORM,
  hasDatabase: true,
  parameters: {
    host: ANY,
    port: { pattern: /^\d+$/, words: 'a number' },
    user: ANY,
    password: ANY,
    dbname: ANY,
    database: ANY,
    application_name: ANY,
    options: ANY,
    client_encoding: ['UTF8', 'utf8', 'UTF-8', 'utf-8'],
    target_session_attrs: ['any', 'read-write', 'primary'],
    channel_binding: ['disable', 'prefer'],
    gssencmode: ['disable', 'prefer'],
  },
  instead: {
    ...INSTEAD,
    pgbouncer: 'PgBouncer and other poolers work in session mode only (docs/engines.md)',
    schema: 'options=-c%20search_path=NAME names a schema',
    currentschema: 'options=-c%20search_path=NAME names a schema',
  },
  several: `${SEVERAL} (HAProxy, Patroni's or PgBouncer in session mode)`,
}

const MYSQL: UrlDialect = {
  schemes: ['mysql:', 'mariadb:'],
  form: FORM,
  hasDatabase: true,
  parameters: {
    user: ANY,
    password: ANY,
    socketPath: { pattern: /^\/.*$/, words: 'a path that begins with /' },
    charset: { pattern: /^utf8mb4.*$/i, words: 'utf8mb4 or one of its collations' },
  },
  instead: {
    ...INSTEAD,
    socket: 'socketPath names a socket',
    unixsocket: 'socketPath names a socket',
  },
  // mysql2 reads none of them.
  lacks: ['sslcrl', 'sslcrlfile', 'sslnegotiation'],
  several: `${SEVERAL} (HAProxy, MaxScale)`,
}

/** The engine of a URL's database; MariaDB and MySQL are the same because they share a driver. */
export function engineOf(url: string): Engine {
  const engine = ENGINES[url.slice(0, url.indexOf(':') + 1)]
  if (!engine) throw new TypeError('not a URL of a database')
  return engine
}

/** The problem of a URL, in words that follow "it must be"; undefined if there is none. */
export function databaseUrlProblem(url: string): string | undefined {
  if (/^cockroach(db)?:/.test(url)) return `${FORM}; CockroachDB is not supported (docs/engines.md)`
  if (url.startsWith('sqlite:')) return sqliteProblem(url.slice('sqlite:'.length))
  const answer = parseConnectionUrl(url, dialectOf(url))
  return 'problem' in answer ? answer.problem : undefined
}

/** The server of a valid URL. @throws TypeError for an invalid one */
export function databaseServer(url: string): ConnectionUrl {
  const answer = parseConnectionUrl(url, dialectOf(url))
  if ('problem' in answer) throw new TypeError(`a database URL must be ${answer.problem}`)
  return answer.url
}

function dialectOf(url: string): UrlDialect {
  return /^(mysql|mariadb):/.test(url) ? MYSQL : POSTGRES
}

/** The problem of a path that means something else in other programs. */
function sqliteProblem(path: string): string | undefined {
  if (path === '') return FORM
  if (path.includes('?')) {
    return 'sqlite:PATH without ? and parameters, as SQLite has none here; TLS needs a server'
  }
  if (path.startsWith(':memory:')) {
    return 'sqlite:PATH of a file, as several connections share it; there is no :memory:'
  }
  if (/^\/\/[^/]/.test(path)) {
    return 'sqlite:PATH with one slash for a path from the root, or none; nothing stands for a host'
  }
  const problem = filePathProblem(path)
  return problem && `sqlite:PATH whose PATH is ${problem.expected}`
}

/** True if the database is a file of this machine, which other machines cannot share. */
export function isEmbedded(url: string): boolean {
  return engineOf(url) === 'better-sqlite3'
}

/**
 * Files of SQLite in full, which gives its log and the log's index the mode that the database has
 * when they are made.
 * @param url of an embedded database
 */
export function databaseFiles(url: string): readonly string[] {
  const path = resolve(url.slice('sqlite:'.length))
  return [path, `${path}-wal`, `${path}-shm`]
}

/** The URL without user, password and query, which may be secret, for messages. */
export function shownUrl(url: string): string {
  if (isEmbedded(url)) return url
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/**
 * Divides a process's connections in two, because artifacts have connections with other settings:
 * half each, and the odd one for artifacts.
 */
export function shareConnections(connections: number) {
  const artifacts = Math.ceil(connections / 2)
  return { artifacts, others: connections - artifacts }
}
