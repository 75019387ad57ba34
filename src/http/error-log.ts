import { randomBytes } from 'node:crypto'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { Outage } from '../oidc/outage.ts'
import type { Log } from '../seldom-log.ts'

/** Logs the error of a page; page and log line have the same identifier. */

/** Random identifier, short enough to read out and long enough to find one line in a log. */
export function createErrorId(): string {
  return randomBytes(6).toString('hex')
}

/** Logs the route without the query, because a query can contain codes and hints. */
export function logProviderError(
  log: Log,
  {
    errorId,
    ctx,
    error,
    isOurs,
  }: { errorId: string; ctx: KoaContextWithOIDC; error: Error; isOurs: boolean },
): void {
  const where = { errorId, route: ctx.oidc.route, client: ctx.oidc.client?.clientId }
  if (isOurs) {
    const reason = error instanceof Outage ? { reason: error.cause.message } : { err: error }
    log.error({ ...where, ...reason }, 'oidc request failed')
    return
  }
  const detail = 'error_detail' in error ? error.error_detail : undefined
  const description = 'error_description' in error ? error.error_description : undefined
  log.info({ ...where, error: error.message, description, detail }, 'oidc request refused')
}
