/**
 * Normalises the request target of HTTP/1.1 (RFC 9112, section 3.2) before anything else reads it.
 * koa, oidc-provider and the code before them would each read an unusual target differently: a
 * request for `https://evil.example/jwks` would get URLs at evil.example from one and a 404 from
 * another.
 *
 * - origin-form (`/auth?...`) stays. Letters, digits and `-._~` that are percent-encoded in the
 *   path are decoded, which does not change the meaning (RFC 3986, section 6.2.2.2).
 * - absolute-form (`https://host/auth?...`) is cut down to origin-form; its host replaces that of
 *   `Host` (`targetHost`).
 * - Everything else is refused: fragments, other schemes, user names, characters that no URI has,
 *   broken percent-encodings, and paths that two readers could read in two ways (dot segments, and
 *   encoded slashes, backslashes and control characters; clients resolve the former before they
 *   send).
 *
 * @returns the origin-form; undefined if the target is to be refused
 */
export function normaliseTarget(target: string): string | undefined {
  const origin = target.startsWith('/') ? target : withoutAuthority(target)
  if (origin === undefined) return undefined
  const start = origin.indexOf('?')
  const path = start === -1 ? origin : origin.slice(0, start)
  const query = start === -1 ? '' : origin.slice(start)
  if (!PATH.test(path) || !QUERY.test(query)) return undefined
  if (!path.includes('%')) return DOT_SEGMENT.test(path) ? undefined : origin
  if (AMBIGUOUS.test(path)) return undefined
  const decoded = path.replace(UNRESERVED, decodeURIComponent)
  return DOT_SEGMENT.test(decoded) ? undefined : decoded + query
}

/**
 * The host and port of a request target in absolute-form, which replace those of `Host` (RFC 9112,
 * section 3.2.2); undefined if the target has none.
 */
export function targetHost(target: string): string | undefined {
  return target.startsWith('/') ? undefined : /^https?:\/\/([^/?#]*)/i.exec(target)?.[1]
}

/**
 * True if there is at most one `Host` and its value is valid. Other requests are to be refused (RFC
 * 9112, section 3.2), because a proxy and Keyturn could read different hosts. Node itself refuses a
 * request of HTTP/1.1 without `Host`.
 * @param rawHeaders alternating names and values, as in Node
 */
export function hasSoundHost(rawHeaders: readonly string[]): boolean {
  let host: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name?.length !== 4 || name.toLowerCase() !== 'host') continue
    if (host !== undefined) return false
    host = rawHeaders[index + 1]
  }
  return host === undefined || host === '' || AUTHORITY.test(host)
}

const PATH = /^\/(?:[\w\-.~!$&'()*+,;=:@/]|%[\da-f]{2})*$/i
/** Browsers leave some characters in a query as they are that RFC 3986 would have encoded. */
const QUERY = /^[!"$-~]*$/
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/
/** Control characters, `/` and `\`. */
const AMBIGUOUS = /%(?:[01][\da-f]|2f|5c|7f)/i
/** `-`, `.`, digits, letters, `_` and `~`. */
const UNRESERVED = /%(?:2d|2e|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\dae])/gi
/** A host and perhaps a port (RFC 3986, section 3.2), without a user name. */
const AUTHORITY = /^(?:\[[\da-f:.]+\]|[\w\-.~!$&'()*+,;=%]+)(?::\d*)?$/i

function withoutAuthority(target: string): string | undefined {
  const [, authority = '', rest = ''] = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target) ?? []
  if (!AUTHORITY.test(authority)) return undefined
  return rest.startsWith('/') ? rest : `/${rest}`
}
