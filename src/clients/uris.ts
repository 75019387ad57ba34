import { BlockList, isIP } from 'node:net'
import { isLoopback } from '../values/loopback.ts'
import type { TextProblem, TextRule } from '../values/text.ts'
import { uriProblem } from '../values/uri.ts'

/**
 * Which URIs a client may register, as far as one can tell from the URI alone. What depends on the
 * client or on the server is in `rules.ts`.
 */

/**
 * Where people are sent with a code or after a sign-out. It is compared character by character
 * (RFC 9700, sections 2.1 and 4.1.3), so whatever would have to be read in another way is refused.
 */
export const redirectUriProblem: TextRule = (text) =>
  problemOf(text, [hasFragment, hasUserinfo, hasWildcard, hasOddScheme])

/** What Keyturn fetches or calls. */
export const calledUriProblem: TextRule = (text) =>
  problemOf(text, [hasFragment, hasUserinfo, hasWildcard, isNoWebUri])

/** A page or an image that people open. */
export const pageUriProblem: TextRule = (text) => problemOf(text, [hasUserinfo, isNoWebUri])

/** A page that oidc-provider takes over https alone (OpenID Connect Core 1.0, section 4). */
export const securePageUriProblem: TextRule = (text) => problemOf(text, [hasUserinfo, isNoHttps])

/** Plain HTTP, which everybody on the way can read and change, beyond this machine. */
export function isPlainHttp(uri: string): boolean {
  const url = URL.parse(uri)
  return url?.protocol === 'http:' && !isLoopback(url.hostname)
}

export function isHttpsLoopback(uri: string): boolean {
  const url = URL.parse(uri)
  return url?.protocol === 'https:' && isLoopback(url.hostname)
}

/** Has it a scheme of an application on a phone or desktop? */
export function isPrivateUse(uri: string): boolean {
  return !/^https?:/.test(uri)
}

/** Does it lead into a network that only Keyturn can reach? A name may do so too; nobody can tell. */
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

/** The first that is wrong. How it is spelt comes first, since the others read it as a URL. */
function problemOf(text: string, checks: readonly Check[]): TextProblem | undefined {
  const misspelt = uriProblem(text)
  if (misspelt) return misspelt
  const url = new URL(text)
  const expected = checks.map((check) => check(url, text)).find((found) => found !== undefined)
  return expected === undefined ? undefined : { expected }
}

const hasFragment: Check = (_url, text) =>
  text.includes('#') ? 'a URI without fragment (RFC 6749, section 3.1.2)' : undefined

const isNoHttps: Check = ({ protocol }) => (protocol === 'https:' ? undefined : 'an https:// URI')

/** What stands before an @ looks like the host that people are sent to. */
const hasUserinfo: Check = (url, text) =>
  url.username || url.password || /^[^/?]*:\/\/[^/?]*@/.test(text)
    ? 'a URI without user name and password'
    : undefined

const hasWildcard: Check = (_url, text) =>
  text.includes('*')
    ? 'a URI without *, as nothing is a wildcard: URIs are compared character by character (RFC 9700, section 2.1)'
    : undefined

/** RFC 8252, section 7.1: the name of a domain backwards, which nobody else claims by chance. */
const PRIVATE_USE_SCHEME = /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/

const hasOddScheme: Check = ({ protocol }) =>
  protocol === 'https:' || protocol === 'http:' || PRIVATE_USE_SCHEME.test(protocol)
    ? undefined
    : 'an https URL, http on a loopback address, or in an application on a phone or desktop a ' +
      'scheme with a dot, such as com.example.app:/callback (RFC 8252, section 7.1)'

const isNoWebUri: Check = ({ protocol }) =>
  protocol === 'https:' || protocol === 'http:' ? undefined : 'an https or http URL'
