import type { IncomingMessage } from 'node:http'
import { hostName } from './allowed-hosts.ts'

/** The host that a request is for. */
export interface RequestedHost {
  /** In small letters, without the dot that may end it. */
  readonly name: string
  /** Undefined where the request names none. */
  readonly port: string | undefined
}

/**
 * What a request names as its host: the outermost trusted proxy's `X-Forwarded-Host`, or else `Host`, in
 * which an absolute request target stands by now (`listener.ts`).
 * @param trustedProxies how many reverse proxies in front are believed; with 0 only `Host` counts
 * @returns undefined where it names none that could be one
 */
export function requestedHost(
  { headers }: Pick<IncomingMessage, 'headers'>,
  trustedProxies: number,
): RequestedHost | undefined {
  const header = forwardedHost(headers['x-forwarded-host'], trustedProxies) ?? headers.host
  const name = header === undefined ? undefined : hostName(header)
  if (header === undefined || name === undefined) return undefined
  return { name, port: /:(\d+)$/.exec(header.trim())?.[1] }
}

/** Each trusted proxy may add one at the end; where there are fewer, some of them add none. */
function forwardedHost(
  header: string | readonly string[] | undefined,
  trustedProxies: number,
): string | undefined {
  if (header === undefined || trustedProxies === 0) return undefined
  const entries = `${header}`.split(',').filter((entry) => entry.trim() !== '')
  return (entries.at(-trustedProxies) ?? entries[0])?.trim()
}
