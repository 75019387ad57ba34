import { distance } from 'fastest-levenshtein'
import { isTlsParameter, keyOf, type Parameter, TLS_NAMES } from './tls-parameters.ts'
import { readTls, type TlsRequest } from './tls-request.ts'

/**
 * Parses the URL of a server for all drivers. Drivers ignore parameters that they do not know, so a
 * URL that asks for TLS in the words of another driver would get plain text.
 */

/** A server; parts that the URL does not name are undefined and left to the driver. */
export interface ConnectionUrl {
  /** Host without brackets; a folder of PostgreSQL's sockets begins with /. */
  readonly host: string
  readonly port: number | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  /** Text after the host, without its slash. */
  readonly database: string
  /** Undefined if the URL does not mention TLS. */
  readonly tls: TlsRequest | undefined
  /** Other parameters of the dialect, by their key (`keyOf`). */
  readonly others: Readonly<Record<string, string>>
}

/** Form of the URLs of a kind of server. */
export interface UrlDialect {
  readonly schemes: readonly string[]
  /** Expected form, in words that follow "it must be". */
  readonly form: string
  /** True if the path must name a database. */
  readonly hasDatabase: boolean
  /** Schemes that ask for TLS. */
  readonly secure?: readonly string[]
  /** Parameters beside those of TLS in their suggested spelling, each with its allowed values. */
  readonly parameters: Readonly<Record<string, Values>>
  /** Advice for parameters of other drivers, by name. */
  readonly instead: Readonly<Record<string, string>>
  /** Names of NAMES in `tls-parameters.ts` that the driver does not support. */
  readonly lacks?: readonly string[]
  /** Advice for several servers, in words that follow "one host:". */
  readonly several: string
}

/** Values of a parameter: some words, or what a pattern matches, with words that follow "is". */
export type Values = readonly string[] | { readonly pattern: RegExp; readonly words: string }

/**
 * The parsed URL, or a problem that completes "it must be" and never has a value that may be
 * secret.
 */
export type UrlAnswer = { readonly url: ConnectionUrl } | { readonly problem: string }

export function parseConnectionUrl(text: string, dialect: UrlDialect): UrlAnswer {
  const { form, schemes } = dialect
  const several = `a URL with one host: ${dialect.several}`
  if (isList(authorityOf(text))) return { problem: several }
  const url = URL.parse(text)
  if (!url || !schemes.includes(url.protocol)) return { problem: form }
  if (url.hash !== '' || text.includes('#')) {
    return { problem: 'a URL without #; in a user, a password or a name write it as %23' }
  }
  const answer = readParameters(url.searchParams, dialect)
  if ('problem' in answer) return answer
  const { tls: tlsParameters, others } = answer
  const tls = readTls(tlsParameters, dialect.secure?.includes(url.protocol))
  if ('problem' in tls) return tls
  const { hostname, username, pathname } = url
  // A slash in a password that is not encoded ends the host: postgres://user:1/2@host/name.
  if (/^\/[^/]*\//.test(pathname)) return { problem: form }
  const decoded = decodeAll({
    ...{ hostname, username, password: url.password, path: pathname.replace(/^\//, '') },
  })
  if (!decoded) return { problem: 'a URL in which every % begins a code; write % itself as %25' }
  if ([...Object.values(decoded), ...Object.values(others)].some((part) => part.includes('\0'))) {
    return { problem: 'a URL without %00, at which servers would end a name' }
  }
  const {
    host = decoded.hostname,
    user = decoded.username,
    password = decoded.password,
    dbname = decoded.path,
    database = dbname,
  } = others
  if (isList(host) || isList(others.port ?? '')) return { problem: several }
  const port = others.port ?? url.port
  if (!/^\d*$/.test(port) || (port !== '' && Number(port) === 0) || Number(port) > 65_535) {
    return { problem: 'a URL whose port is a number from 1 to 65535' }
  }
  if ((host === '' && !others.socketpath) || (dialect.hasDatabase && database === '')) {
    return { problem: form }
  }
  return {
    url: {
      host: host.replace(/^\[|\]$/g, ''),
      port: port === '' ? undefined : Number(port),
      user: user || undefined,
      password: password || undefined,
      database,
      tls: tls.tls,
      others,
    },
  }
}

function readParameters(
  search: URLSearchParams,
  { parameters, instead, lacks = [] }: UrlDialect,
):
  | { readonly tls: readonly Parameter[]; readonly others: Readonly<Record<string, string>> }
  | { readonly problem: string } {
  const known = new Map(Object.keys(parameters).map((name) => [keyOf(name), name] as const))
  const seen = new Set<string>()
  const tls: Parameter[] = []
  const others: Record<string, string> = {}
  for (const [name, value] of search) {
    const key = keyOf(name)
    if (seen.has(key)) return { problem: `a URL that says ${name} once` }
    seen.add(key)
    if (isTlsParameter(key) && !lacks.includes(key)) {
      tls.push({ name, key, value })
      continue
    }
    const own = known.get(key)
    if (own === undefined) return { problem: unknownParameter(name, [...known.keys()], instead) }
    const expected = expectedOf(value, parameters[own] ?? [])
    if (expected !== undefined) return { problem: `a URL whose ${name} is ${expected}` }
    others[key] = value
  }
  return { tls, others }
}

function unknownParameter(
  name: string,
  known: readonly string[],
  instead: Readonly<Record<string, string>>,
): string {
  const key = keyOf(name)
  const other = Object.hasOwn(instead, key) ? instead[key] : undefined
  if (other !== undefined) return `a URL without ${name}; ${other}`
  const [nearest] = [...known, ...TLS_NAMES].sort((a, b) => distance(key, a) - distance(key, b))
  return `a URL of known parameters; ${name} is none, the nearest is ${nearest}`
}

/** The allowed values in words; undefined if the value is one of them. */
function expectedOf(value: string, values: Values): string | undefined {
  if ('words' in values) return values.pattern.test(value) ? undefined : values.words
  return values.includes(value) ? undefined : values.join(' or ')
}

/** Text between the scheme and the path, without user and password. */
function authorityOf(text: string): string {
  const [, authority = ''] = /^[^:]*:\/\/([^/?#]*)/.exec(text) ?? []
  return authority.slice(authority.lastIndexOf('@') + 1)
}

function isList(hosts: string): boolean {
  return /,|%2c/i.test(hosts)
}

function decodeAll<T extends Readonly<Record<string, string>>>(texts: T): T | undefined {
  try {
    const entries = Object.entries(texts).map(([name, text]) => [name, decodeURIComponent(text)])
    // The names are unchanged, so the type is too.
    return Object.fromEntries(entries) as T
  } catch {
    return undefined
  }
}
