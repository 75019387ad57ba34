import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FETCH } from './settings.ts'

/**
 * Serves the JWKS to the relying parties of the drill, each at its own URL, so that the drill knows
 * which of them fetched and whether the fetch succeeded. Behind it is the origin, or an HTTP cache
 * that some relying parties share.
 */
export interface JwksSource extends AsyncDisposable {
  /** URL of the JWKS for a relying party, directly or through the shared cache. */
  url(name: string, through?: 'origin' | 'cache'): string
  /**
   * True if the relying party's last fetch failed, or if its fetch under way has taken longer than
   * the bounds allow.
   */
  hasFailed(name: string): boolean
  /** Milliseconds since the relying party got the JWKS, or since the start if it never did. */
  age(name: string): number
  /** Number of fetches so far. */
  fetches(name: string): number
}

interface Fetched {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

type Fetch = (headers: Readonly<Record<string, string>>) => Promise<Fetched>

/** Milliseconds for a fetch, the same as jose's time-out. */
const TIMEOUT = 5000

/** @param jwksUri of the origin */
export async function startJwksSource(jwksUri: string): Promise<JwksSource> {
  const failed = new Map<string, boolean>()
  /** Instants in milliseconds by the monotonic clock. */
  const fetchedAt = new Map<string, number>()
  const waitingSince = new Map<string, number>()
  const fetches = new Map<string, number>()
  const origin: Fetch = async (headers) => {
    const answer = await fetch(jwksUri, { headers, signal: AbortSignal.timeout(TIMEOUT) })
    return { status: answer.status, headers: answer.headers, body: await answer.text() }
  }
  const sources = { origin, cache: createSharedCache(origin) }

  const server = createServer(async (request, response) => {
    const [, through = '', encoded = ''] = (request.url ?? '').split('/')
    const name = decodeURIComponent(encoded)
    fetches.set(name, (fetches.get(name) ?? 0) + 1)
    if (!waitingSince.has(name)) waitingSince.set(name, performance.now())
    try {
      const answer = await sources[through === 'cache' ? 'cache' : 'origin']({})
      failed.set(name, answer.status !== 200)
      if (answer.status === 200) fetchedAt.set(name, performance.now())
      const kept = ['content-type', 'cache-control', 'etag', 'age']
      const headers = Object.fromEntries(
        kept.flatMap((header) => {
          const value = answer.headers.get(header)
          return value === null ? [] : [[header, value]]
        }),
      )
      response.writeHead(answer.status, headers).end(answer.body)
    } catch (error) {
      failed.set(name, true)
      response.writeHead(504).end(String(error))
    } finally {
      waitingSince.delete(name)
    }
  }).listen(0, 'localhost')
  await once(server, 'listening')
  // A server that listens on TCP has an AddressInfo; only pipes have a string.
  const { port } = server.address() as AddressInfo
  return {
    url: (name, through = 'origin') =>
      `http://localhost:${port}/${through}/${encodeURIComponent(name)}/jwks`,
    hasFailed: (name) =>
      (failed.get(name) ?? false) ||
      performance.now() - (waitingSince.get(name) ?? Infinity) > FETCH * 1000,
    age: (name) => performance.now() - (fetchedAt.get(name) ?? 0),
    fetches: (name) => fetches.get(name) ?? 0,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/**
 * A shared HTTP cache (RFC 9111): keeps an answer for max-age, asks again with its ETag, answers
 * `Age`, serves stale while it revalidates and, while the origin fails, as long as it may
 * (RFC 5861).
 */
function createSharedCache(origin: Fetch): Fetch {
  let stored: (Fetched & { readonly at: number }) | undefined
  let asking: Promise<Fetched> | undefined

  const revalidate = () => {
    asking ??= (async () => {
      const etag = stored?.headers.get('etag')
      const at = Date.now()
      const answer = await origin(etag ? { 'if-none-match': etag } : {})
      if (answer.status === 304 && stored) {
        // RFC 9111, section 4.3.4: the stored answer with the headers of this one.
        const headers = new Headers(stored.headers)
        for (const [name, value] of answer.headers) headers.set(name, value)
        stored = { ...stored, headers, at }
      } else if (answer.status === 200) stored = { ...answer, at }
      else return answer
      return stored
    })().finally(() => {
      asking = undefined
    })
    return asking
  }
  const aged = (answer: Fetched & { readonly at: number }): Fetched => {
    const headers = new Headers(answer.headers)
    headers.set('age', String(Math.floor((Date.now() - answer.at) / 1000)))
    return { ...answer, headers }
  }
  return async () => {
    const known = stored
    const directive = (name: string) =>
      directiveOf(known?.headers.get('cache-control') ?? '', name) ?? 0
    const age = known ? (Date.now() - known.at) / 1000 : Infinity
    const maxAge = directive('max-age')
    if (known && age < maxAge) return aged(known)
    if (known && age < maxAge + directive('stale-while-revalidate')) {
      void revalidate().catch(() => {})
      return aged(known)
    }
    const mayBeStale = known && age < maxAge + directive('stale-if-error')
    try {
      const answer = await revalidate()
      return answer.status >= 500 && mayBeStale ? aged(known) : answer
    } catch (error) {
      if (mayBeStale) return aged(known)
      throw error
    }
  }
}

/** Seconds of a directive such as `max-age`. */
export function directiveOf(cacheControl: string, name: string): number | undefined {
  const found = new RegExp(`(?:^|[\\s,])${name}=(\\d+)`).exec(cacheControl)
  return found ? Number(found[1]) : undefined
}
