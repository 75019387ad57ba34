import type { RequestListener } from 'node:http'
import { portOf } from '../config/issuers.ts'
import { type RequestedHost, requestedHost } from '../http/requested-host.ts'
import { issuerPath } from '../oidc/origin.ts'

/** An issuer's path and its function that answers requests. */
export interface Answering {
  readonly issuer: string
  readonly answer: RequestListener
}

interface Place extends Answering {
  readonly port: string
  /** Path without a slash at the end. */
  readonly path: string
}

/**
 * Serves several issuers on one listener: chooses by the host of a request, and by its path if
 * issuers share a host. An unknown host is answered with 421 (RFC 9110, section 15.5.20), an
 * unknown path with 404. A single issuer answers for every host.
 */
export function chooseByTarget(
  issuers: readonly Answering[],
  { trustedProxies }: { readonly trustedProxies: number },
): RequestListener {
  const [only] = issuers
  if (only && issuers.length === 1) return only.answer
  const places = placesByName(issuers)
  return (request, response) => {
    const host = requestedHost(request, trustedProxies)
    const known = host && atPort(places.get(host.name) ?? [], host)
    if (!known || known.length === 0) return refuse(response, 421, NO_HOST)
    const path = issuerPart(request.url ?? '')
    const place = known.find((each) => path === each.path || path.startsWith(`${each.path}/`))
    if (!place) return refuse(response, 404, NO_PATH)
    place.answer(request, response)
  }
}

function placesByName(issuers: readonly Answering[]): ReadonlyMap<string, readonly Place[]> {
  const places = new Map<string, readonly Place[]>()
  for (const { issuer, answer } of issuers) {
    const url = new URL(issuer)
    const place = {
      issuer,
      answer,
      port: portOf(url),
      path: issuerPath(issuer),
    }
    const name = url.hostname.replace(/\.$/, '')
    places.set(name, [...(places.get(name) ?? []), place])
  }
  return places
}

/**
 * Chooses by port only if issuers of the same host have different ports, because reverse proxies
 * often omit the port or name their own.
 */
function atPort(places: readonly Place[], { port = '' }: RequestedHost): readonly Place[] {
  if (places.every((place) => place.port === places[0]?.port)) return places
  return places.filter((place) => place.port === portOf({ port }))
}

/**
 * The path with the issuer's part first, because RFC 8414, section 3.1, puts a well-known name
 * before it: `/.well-known/oauth-authorization-server/tenant`.
 */
function issuerPart(target: string): string {
  const [path = ''] = target.split('?', 1)
  return path.replace(/^\/\.well-known\/oauth-authorization-server(?=\/)/i, '')
}

const NO_HOST = 'No issuer of this server has the host that was asked for.\n'
const NO_PATH = 'No issuer of this host has the path that was asked for.\n'

function refuse(response: Parameters<RequestListener>[1], status: 404 | 421, text: string): void {
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    .end(response.req.method === 'HEAD' ? undefined : text)
}
