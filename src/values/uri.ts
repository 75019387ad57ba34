import { isIPv6 } from 'node:net'
import {
  HIDDEN,
  hiddenProblem,
  nameProblem,
  readable,
  type TextProblem,
  type TextRule,
} from './text.ts'

/**
 * Rules for URIs, hosts and addresses as text. A URL parser corrects much: it drops blanks and line
 * breaks, lowers capitals, omits a default port, resolves dots. Text that a parser would change is
 * refused, because other parties compare the text as written (OpenID Connect Discovery 1.0, section
 * 4.3; RFC 9700, 2.1).
 */

/** Rule for an absolute URI in the spelling of URL parsers, because URIs are compared as text. */
export const uriProblem: TextRule = (text) => {
  const hidden = hiddenProblem(text, HIDDEN) ?? hiddenProblem(text, /\p{Z}/u)
  if (!hidden && mended(text) === text) return unusable(text)
  const parsed = mended(readable(text))
  const bare = parsed && encoded(parsed)
  const expected = hidden
    ? hidden.expected.replace('text', 'a URI')
    : bare === undefined
      ? 'an absolute URI, such as https://app.example.com/callback'
      : 'an absolute URI, spelt as URL parsers write it'
  return {
    expected,
    instead: isSafe(bare) && bare !== text && !uriProblem(bare) ? bare : undefined,
  }
}

/** The problem of a URI that URL parsers leave as it is, although no other program can use it. */
function unusable(text: string): TextProblem | undefined {
  if (/%(?![\da-f]{2})/i.test(text)) {
    return { expected: 'a URI in which every % begins a code; write % itself as %25' }
  }
  if (URL.parse(text)?.port === '0') return { expected: 'a URI with another port than 0' }
  return undefined
}

/**
 * Rule for a URI that other programs send or compare, because they encode characters that a URL
 * parser leaves as they are, or refuse them (RFC 3986, section 2; RFC 6749, section 3.1.2).
 */
export const encodedUriProblem: TextRule = (text) => {
  const problem = uriProblem(text)
  const [sign] = UNENCODED.exec(text.replace(AUTHORITY, '')) ?? []
  if (problem || sign === undefined) return problem
  const bare = encoded(text)
  return {
    expected: `a URI with ${encodeURIComponent(sign)} in the place of ${sign} (RFC 3986)`,
    instead: isSafe(bare) ? bare : undefined,
  }
}

/** Signs that neither a path nor a query may have (RFC 3986, section 3.3). */
const UNENCODED = /["<>[\\\]^`{|}]/
/** The scheme and the host, which may be an IPv6 address in brackets. */
const AUTHORITY = /^[^:/?#]*:\/\/[^/?#]*/

function encoded(uri: string): string {
  const [start = ''] = AUTHORITY.exec(uri) ?? []
  return start + uri.slice(start.length).replaceAll(new RegExp(UNENCODED, 'g'), encodeURIComponent)
}

/** Rule for the identifier of an API (RFC 8707, section 2). */
export const resourceProblem: TextRule = (text) =>
  text.includes('#') ? { expected: 'a URI without fragment (RFC 8707)' } : encodedUriProblem(text)

/** Rule for links on pages: a web page or an email address. */
export const linkProblem: TextRule = (text) => {
  const misspelt = uriProblem(text)
  if (misspelt) return misspelt
  const url = new URL(text)
  const { protocol, username, password } = url
  if (protocol === 'mailto:') return undefined
  const isWeb = protocol === 'https:' || protocol === 'http:'
  if (!isWeb || username || password) return { expected: 'an https:// or mailto: URL' }
  return hasPossibleHost(url) ? undefined : { expected: POSSIBLE_HOST }
}

/** Most characters of the URL of an issuer: it is a part of keys of tables. */
export const ISSUER_MAX = 255

/** Rule for issuers. @param isLoopback true for hosts that need no TLS */
export function issuerRule(isLoopback: (hostname: string) => boolean): TextRule {
  const isIssuer = (text: string) => {
    const url = URL.parse(text)
    if (!url || encodedUriProblem(text) || text.endsWith('/') || /[?#]/.test(text)) return false
    if (url.username || url.password || hasOtherSpelling(url.pathname)) return false
    if (UNUSABLE.test(url.pathname) || !hasPossibleHost(url)) return false
    // A proxy may make one slash of two.
    if (url.pathname.includes('//')) return false
    return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  }
  return (text) => {
    if (text.length > ISSUER_MAX) {
      return { expected: `a URL of at most ${ISSUER_MAX} characters` }
    }
    if (isIssuer(text)) return undefined
    const url = URL.parse(readable(text))
    const bare = url && !url.username && !url.password ? encoded(withoutEnd(url)) : undefined
    return {
      expected:
        'an https:// URL without query, fragment or trailing slash (http:// only for localhost, ' +
        '127.0.0.1 and [::1]), character for character as relying parties compare it',
      instead: bare !== undefined && isIssuer(bare) ? bare : undefined,
    }
  }
}

/**
 * Characters that the path of an issuer must not have: `;` ends the path of a cookie (RFC 6265,
 * section 4.1.1), and a request with an encoded slash, backslash or control character is refused
 * (`http/target.ts`).
 */
const UNUSABLE = /;|%(?:[01][\dA-F]|2F|5C|7F)/

/** Rule for the name or address of a machine, without port. */
export const hostProblem: TextRule = (text) => {
  const expected = 'a host name or an IP address, such as id.example.com, 127.0.0.1 or ::1'
  if (nameProblem(text)) {
    const bare = readable(text)
    const problem = bare === text ? { expected } : hostProblem(bare)
    return { expected, instead: problem ? problem.instead : bare }
  }
  // An address with a zone, such as fe80::1%eth0, cannot be part of a URL.
  if (isIPv6(text) && text.includes('%')) return undefined
  const known = bareHost(text)
  const isName = known !== undefined && (isIPv6(known) || HOST_NAME.test(known))
  if (isName && known === text) return undefined
  return { expected, instead: isName ? known : undefined }
}

/** True for a host that can exist; URL parsers accept many others, such as `a..b` and `-a`. */
export function hasPossibleHost({ hostname }: URL): boolean {
  return hostProblem(hostname.replace(/^\[|\]$/g, '')) === undefined
}

/** Words in which rules for URLs ask for a possible host. */
export const POSSIBLE_HOST = 'a URL with a host name or an IP address (RFC 1123, section 2.1)'

/** Host names of RFC 1123, section 2.1, with the underscore that some networks use. */
const HOST_NAME =
  /^(?!.{254})[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/

export const hostPortProblem: TextRule = (text) => {
  const expected = 'HOST:PORT, such as redis-1:6379 or [::1]:6379'
  const [, bracketed, plain, port = ''] = /^(?:\[(.*)\]|([^:]*)):(\d+)$/.exec(text) ?? []
  const host = bracketed ?? plain
  const isPort = /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535
  if (host === undefined || !isPort) return { expected }
  const problem = hostProblem(host)
  if (!problem && isIPv6(host) === (bracketed !== undefined)) return undefined
  const { instead } = problem ?? {}
  if (instead === undefined) return { expected }
  return { expected, instead: `${isIPv6(instead) ? `[${instead}]` : instead}:${port}` }
}

/** The spelling of a URL parser, without the slash that it adds after a bare host. */
function mended(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || url.username || url.password) return url?.href
  const isBare = url.pathname === '/' && url.search === '' && url.hash === ''
  return isBare && !/\/\s*$/.test(text.replace(/^\w+:[\\/]+/, '')) ? withoutEnd(url) : url.href
}

/** The URL without query, fragment and final slashes. */
function withoutEnd(url: URL): string {
  const bare = new URL(url)
  bare.search = ''
  bare.hash = ''
  return bare.href.replace(/\/+$/, '')
}

/** False for a suggestion that may contain a password. */
function isSafe(suggestion: string | undefined): suggestion is string {
  return suggestion !== undefined && !/^[^/]*:\/*[^/]*@/.test(suggestion)
}

/** True for escapes of unreserved characters or in small letters (RFC 3986, section 6.2.2). */
function hasOtherSpelling(path: string): boolean {
  return [...path.matchAll(/%(.{0,2})/g)].some(([, digits = '']) => {
    if (digits !== digits.toUpperCase()) return true
    const code = Number.parseInt(digits, 16)
    return Number.isNaN(code) || /[\w.~-]/.test(String.fromCharCode(code))
  })
}

/** The host as a URL has it, without brackets. */
function bareHost(text: string): string | undefined {
  const host = isIPv6(text) ? `[${text}]` : text
  if (!isIPv6(text) && /[:/\\?#@]/.test(host)) {
    // Brackets such as in [::1] belong to a URL and not to the host.
    const inner = /^\[(.*)\]$/.exec(host)?.[1]
    return inner !== undefined && isIPv6(inner) ? bareHost(inner) : undefined
  }
  return URL.parse(`http://${host}/`)?.hostname.replace(/^\[|\]$/g, '')
}
