import { BlockList, isIP } from 'node:net'
import { isLoopback } from '../values/loopback.ts'
import type { TextProblem, TextRule } from '../values/text.ts'
import { encodedUriProblem, hasPossibleHost, POSSIBLE_HOST, uriProblem } from '../values/uri.ts'

/**
 * Checks of URIs that a client registers, by the URI alone. Rules that depend on the client or on
 * the server are in `rules/uris.ts`.
 */

/**
 * Checks a URI to which people are sent with a code or after a sign-out. Redirect URIs are compared
 * character by character (RFC 9700, sections 2.1 and 4.1.3), so every other spelling is refused.
 */
export const redirectUriProblem: TextRule = (text) =>
  encodedUriProblem(text) ??
  problemOf(text, [hasFragment, hasUserinfo, hasWildcard, hasOddScheme, hasOddHost, hasAnswer])

/** Checks a URI that Keyturn fetches or calls. */
export const calledUriProblem: TextRule = (text) =>
  encodedUriProblem(text) ??
  problemOf(text, [hasFragment, hasUserinfo, hasWildcard, isNoWebUri, hasOddHost])

/** Checks the URI of a page or an image that people open. */
export const pageUriProblem: TextRule = (text) =>
  uriProblem(text) ?? problemOf(text, [hasUserinfo, isNoWebUri, hasOddHost])

/** Checks the URI of a page that must have https (OpenID Connect Core 1.0, section 4). */
export const securePageUriProblem: TextRule = (text) =>
  uriProblem(text) ?? problemOf(text, [hasUserinfo, isNoHttps, hasOddHost])

/** True for plain HTTP to another machine, which everybody on the way can read and change. */
export function isPlainHttp(uri: string): boolean {
  const url = URL.parse(uri)
  return url?.protocol === 'http:' && !isLoopback(url.hostname)
}

export function isHttpsLoopback(uri: string): boolean {
  const url = URL.parse(uri)
  return url?.protocol === 'https:' && isLoopback(url.hostname)
}

/** True for a scheme that only an application on a phone or desktop has. */
export function isPrivateUse(uri: string): boolean {
  return !/^https?:/.test(uri)
}

/**
 * True if the host is an address of a private network. A host name may lead there too, which the
 * URI does not show.
 */
export function isPrivateAddress(uri: string): boolean {
  const host = URL.parse(uri)?.hostname.replace(/^\[|\]$/g, '') ?? ''
  const version = isIP(host)
  if (version === 0) return host === 'localhost' || host.endsWith('.localhost')
  return PRIVATE.check(host, version === 6 ? 'ipv6' : 'ipv4')
}

const PRIVATE = new BlockList()
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  PRIVATE.addSubnet(network, bits, 'ipv4')
}
PRIVATE.addAddress('::1', 'ipv6')
PRIVATE.addSubnet('fc00::', 7, 'ipv6')
PRIVATE.addSubnet('fe80::', 10, 'ipv6')

type Check = (url: URL, text: string) => string | undefined

/** The first problem of a URI whose spelling was checked. */
function problemOf(text: string, checks: readonly Check[]): TextProblem | undefined {
  const url = new URL(text)
  const expected = checks.map((check) => check(url, text)).find((found) => found !== undefined)
  return expected === undefined ? undefined : { expected }
}

const hasFragment: Check = (_url, text) =>
  text.includes('#') ? 'a URI without fragment (RFC 6749, section 3.1.2)' : undefined

const isNoHttps: Check = ({ protocol }) => (protocol === 'https:' ? undefined : 'an https:// URI')

/** User names are refused, because the text before an @ looks like the host. */
const hasUserinfo: Check = (url, text) =>
  url.username || url.password || /^[^/?]*:\/\/[^/?]*@/.test(text)
    ? 'a URI without user name and password'
    : undefined

const hasWildcard: Check = (_url, text) =>
  text.includes('*')
    ? 'a URI without *, because URIs are compared character by character, without wildcards (RFC 9700, section 2.1)'
    : undefined

const hasOddHost: Check = (url) =>
  isPrivateUse(url.href) || hasPossibleHost(url) ? undefined : POSSIBLE_HOST

/** A reversed domain name, which nobody else uses by chance (RFC 8252, section 7.1). */
const PRIVATE_USE_SCHEME = /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/

const hasOddScheme: Check = ({ protocol }) =>
  protocol === 'https:' || protocol === 'http:' || PRIVATE_USE_SCHEME.test(protocol)
    ? undefined
    : 'an https URL, an http URL of a loopback address, or for an application on a phone or ' +
      'desktop a scheme with a dot, such as com.example.app:/callback (RFC 8252, section 7.1)'

/** Parameters of answers, which must not be there twice (RFC 6749, section 3.1; RFC 9207). */
const OF_ANSWERS = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri', 'response']

const hasAnswer: Check = ({ searchParams }) => {
  const name = OF_ANSWERS.find((each) => searchParams.has(each))
  return name === undefined
    ? undefined
    : `a URI without the parameter ${name}, which answers have (RFC 6749, section 4.1.2)`
}

const isNoWebUri: Check = ({ protocol }) =>
  protocol === 'https:' || protocol === 'http:' ? undefined : 'an https or http URL'
