import type { IncomingMessage } from 'node:http'
import { hostName } from './allowed-hosts.ts'

/** The host that a request is for. */
export interface RequestedHost {
  /** Name in small letters, without a final dot. */
  readonly name: string
  /** Port; undefined if the request names none. */
  readonly port: string | undefined
}

/**
 * The host that a request names: the outermost trusted proxy's `X-Forwarded-Host`, or else `Host`,
 * which the listener has replaced by the host of an absolute request target.
 * @param trustedProxies number of trusted reverse proxies in front; with 0 only `Host` is used
 * @returns undefined if the request names no valid host
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

/** The outermost proxy's entry. Each trusted proxy may add an entry at the end, but need not. */
function forwardedHost(
  header: string | readonly string[] | undefined,
  trustedProxies: number,
): string | undefined {
  if (header === undefined || trustedProxies === 0) return undefined
  const entries = `${header}`.split(',').filter((entry) => entry.trim() !== '')
  return (entries.at(-trustedProxies) ?? entries[0])?.trim()
}
