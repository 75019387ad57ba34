import { isLoopback } from '../values/loopback.ts'

/**
 * Name, logo and links of a client on pages. Links lead only to addresses that the client
 * registered.
 */

/**
 * The properties of a client that pages show (OpenID Connect Dynamic Client Registration 1.0,
 * section 2).
 */
export interface ClientProperties {
  readonly clientId: string
  readonly clientName?: string | undefined
  readonly clientUri?: string | undefined
  readonly logoUri?: string | undefined
  readonly policyUri?: string | undefined
  readonly tosUri?: string | undefined
  readonly initiateLoginUri?: string | undefined
}

export interface Link {
  readonly text: string
  readonly href: string
}

export interface AboutClient {
  readonly name: string
  readonly home: string | undefined
  readonly logo: string | undefined
  readonly links: readonly Link[]
}

/** Name of a client on pages; its id if it has no name. */
export function clientName({ clientId, clientName }: ClientProperties): string {
  return clientName || clientId
}

export function aboutClient(client: ClientProperties): AboutClient {
  return {
    name: clientName(client),
    home: webUri(client.clientUri),
    logo: imageUri(client.logoUri),
    links: [
      { text: 'Privacy policy', href: webUri(client.policyUri) },
      { text: 'Terms of service', href: webUri(client.tosUri) },
    ].flatMap(({ text, href }) => (href === undefined ? [] : [{ text, href }])),
  }
}

/**
 * Link back to the client on a page where a request ends: to where the client begins a sign-in
 * (OpenID Connect Core 1.0, section 4), or else to its home page. Never to a redirect URI, because
 * that expects an answer.
 */
export function wayBack(client: ClientProperties | undefined, issuer: string): Link | undefined {
  if (client === undefined) return undefined
  const begin = webUri(client.initiateLoginUri)
  if (begin !== undefined) {
    const url = new URL(begin)
    url.searchParams.set('iss', issuer)
    return { text: `Start again at ${clientName(client)}`, href: url.href }
  }
  const home = webUri(client.clientUri)
  return home === undefined ? undefined : { text: `Back to ${clientName(client)}`, href: home }
}

/** The URI if it is a web page, because stored clients may be older than the rules for new ones. */
function webUri(uri: string | undefined): string | undefined {
  const url = URL.parse(uri ?? '')
  return url && ['https:', 'http:'].includes(url.protocol) ? url.href : undefined
}

/**
 * The URI if it is safe: an image over plain HTTP could be changed on the way, and browsers block
 * it.
 */
function imageUri(uri: string | undefined): string | undefined {
  const url = URL.parse(uri ?? '')
  if (!url) return undefined
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  return isSafe ? url.href : undefined
}
