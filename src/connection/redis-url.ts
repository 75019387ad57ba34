import { type ConnectionUrl, parseConnectionUrl, type UrlDialect } from './connection-url.ts'

/** Parses and checks Redis URLs before a connection is opened. */

const FORM =
  'redis://HOST:PORT, or rediss:// for TLS, with USER:PASSWORD@ before and /DB behind it (in a user or ' +
  'password write # as %23, / as %2F, @ as %40)'

/** Number of a database, which Redis reads as 32 bits. */
const NUMBER = /^\d{1,9}$/

const TIMEOUT = 'the setting redis.timeout says how long to wait'
const NODES = 'redis.cluster and redis.sentinels name several servers'

const REDIS: UrlDialect = {
  schemes: ['redis:', 'rediss:'],
  secure: ['rediss:'],
  form: FORM,
  hasDatabase: false,
  parameters: { db: { pattern: NUMBER, words: 'a number of at most nine digits' } },
  instead: {
    ...Object.fromEntries(
      ['timeout', 'connecttimeout', 'sockettimeout', 'socketconnecttimeout', 'commandtimeout'].map(
        (key) => [key, TIMEOUT],
      ),
    ),
    prefix: 'the setting redis.prefix begins every key',
    keyprefix: 'the setting redis.prefix begins every key',
    sentinelmasterid: 'the setting redis.master names the master',
    cluster: NODES,
  },
  lacks: ['sslnegotiation'],
  several: NODES,
}

/** The problem of a URL, in words that follow "it must be"; undefined if there is none. */
export function redisUrlProblem(url: string): string | undefined {
  const answer = parse(url)
  return 'problem' in answer ? answer.problem : undefined
}

/** The server of a valid URL, and the number of its database. */
export function redisServer(url: string): ConnectionUrl & { readonly number: number } {
  const answer = parse(url)
  if ('problem' in answer) throw new TypeError(`redis.url must be ${answer.problem}`)
  const { database, others } = answer.url
  return { ...answer.url, number: Number(database || others.db || 0) }
}

function parse(text: string) {
  const answer = parseConnectionUrl(text, REDIS)
  if ('problem' in answer) return answer
  const { database, others } = answer.url
  if (database !== '' && !NUMBER.test(database)) return { problem: FORM }
  if (database !== '' && others.db !== undefined && others.db !== database) {
    return { problem: 'a URL that names one database, behind the host or as db' }
  }
  return answer
}
