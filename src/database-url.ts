/** What a database URL says before anything is opened. */

/** A database server: how to reach it and how long to wait for it. */
export interface ServerSettings {
  readonly url: string
  /** Most connections of this process. */
  readonly connections: number
  /** Seconds: longest wait for the server to answer. */
  readonly timeout: number
}

export type Engine = 'better-sqlite3' | 'postgres' | 'cockroachdb' | 'mysql'

const ENGINES: Readonly<Record<string, Engine>> = {
  'sqlite:': 'better-sqlite3',
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'cockroachdb:': 'cockroachdb',
  'mysql:': 'mysql',
  'mariadb:': 'mysql',
}

/** What speaks to the database that a URL names; MariaDB and MySQL are one, as their drivers are. */
export function engineOf(url: string): Engine {
  const engine = ENGINES[url.slice(0, url.indexOf(':') + 1)]
  if (!engine) throw new TypeError('not a URL of a database')
  return engine
}

/** Is it a file of this machine, which other machines cannot share? */
export function isEmbedded(url: string): boolean {
  return engineOf(url) === 'better-sqlite3'
}

/** A URL as messages may show it: a password can stand before the host and in the query. */
export function shownUrl(url: string): string {
  if (isEmbedded(url)) return url
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/**
 * What expires has connections of its own, with other settings, so the two share what a process
 * may have: half each, and what expires the odd one.
 */
export function shareConnections(connections: number) {
  const artifacts = Math.ceil(connections / 2)
  return { artifacts, others: connections - artifacts }
}
