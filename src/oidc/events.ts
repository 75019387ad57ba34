import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Log } from '../seldom-log.ts'
import type { ProviderCounts } from './counts.ts'
import { isForJwt } from './jwt-endpoints.ts'
import { Outage } from './outage.ts'
import { refusalReason } from './refusal-reason.ts'

export interface ObserveOptions {
  readonly metrics: Pick<ProviderCounts, 'tokens' | 'refusals' | 'serverErrors'>
  readonly log: Log
  readonly onOutage: (request: object, outage: Outage) => void
  /** Called for each request that failed by a fault of this server. */
  readonly onFault: (request: KoaContextWithOIDC) => void
}

/** Counts and logs what a provider instance does; never a token, a code or a cookie. */
export function observeProvider(
  provider: Provider,
  { metrics, log, onOutage, onFault }: ObserveOptions,
): void {
  const issued = (kind: string) => () => metrics.tokens.inc({ kind })
  provider.on('access_token.issued', issued('access_token_jwt'))
  provider.on('access_token.saved', issued('access_token_opaque'))
  provider.on('client_credentials.issued', issued('client_credentials_jwt'))
  provider.on('client_credentials.saved', issued('client_credentials_opaque'))
  provider.on('refresh_token.saved', issued('refresh_token'))
  provider.on('authorization_code.saved', issued('authorization_code'))

  const failed = (ctx: KoaContextWithOIDC, error: Error) => {
    metrics.serverErrors.inc()
    onFault(ctx)
    if (error instanceof Outage) return onOutage(where(ctx), error)
    log.error({ ...where(ctx), err: error }, 'a request failed by a fault of this server')
  }
  const refused = (ctx: KoaContextWithOIDC, error: Error & { error?: string }) => {
    if (error instanceof Outage) return failed(ctx, error)
    const code = error.error ?? 'unknown'
    metrics.refusals.inc({ error: code })
    log[levelOf(code)](
      { ...where(ctx), error: code, reason: refusalReason(error) },
      'request refused',
    )
  }
  const refusedUnlessJwt = (ctx: KoaContextWithOIDC, error: Error & { error?: string }) => {
    if (!isForJwt(error)) refused(ctx, error)
  }
  provider.on('authorization.error', refused)
  provider.on('grant.error', refused)
  provider.on('introspection.error', refusedUnlessJwt)
  provider.on('revocation.error', refusedUnlessJwt)
  provider.on('userinfo.error', refused)
  provider.on('pushed_authorization_request.error', refused)
  provider.on('device_authorization.error', refused)
  // Errors of pages are mostly typing errors, so only outages are counted.
  const failedIfOutage = (ctx: KoaContextWithOIDC, error: Error) => {
    if (error instanceof Outage) failed(ctx, error)
  }
  provider.on('code_verification.error', failedIfOutage)
  provider.on('device_resume.error', failedIfOutage)
  provider.on('end_session.error', failedIfOutage)
  provider.on('end_session_confirm.error', failedIfOutage)
  provider.on('end_session_success.error', failedIfOutage)

  provider.on('server_error', failed)
  provider.on('grant.revoked', (ctx) => {
    if (ctx.oidc.route !== 'token') return log.info(where(ctx), 'a grant was revoked')
    log.warn(where(ctx), USED_TWICE)
  })
  provider.on('backchannel.error', (_ctx, error, client) => {
    const data = { client: client.clientId, reason: error.message }
    log.warn(data, 'a client could not be told of a sign-out')
  })
}

/**
 * Reported when a thief uses a code or a refresh token, or its owner does so after the thief (RFC
 * 9700, section 4.14.2).
 */
export const USED_TWICE = 'a code or refresh token was used a second time, so its grant was ended'

/**
 * Errors of normal operation: a poll too early, a silent sign-in without a session, a nonce to use.
 */
const ROUTINE: readonly string[] = [
  ...['authorization_pending', 'slow_down', 'use_dpop_nonce'],
  ...['login_required', 'consent_required', 'interaction_required'],
]

/** Clients' mistakes are no errors of this server; a failed authentication deserves a look. */
function levelOf(code: string): 'debug' | 'info' | 'warn' {
  if (ROUTINE.includes(code)) return 'debug'
  return code === 'invalid_client' ? 'warn' : 'info'
}

/**
 * Fields of the log: route, address, client, grant type, and the person whose tokens it is about.
 */
function where(ctx: KoaContextWithOIDC): object {
  const { route, client, params, entities } = ctx.oidc ?? {}
  const token = entities?.RefreshToken ?? entities?.AuthorizationCode ?? entities?.AccessToken
  return {
    route,
    client: client?.clientId,
    grantType: grantTypeOf(params),
    account: token?.accountId,
    address: ctx.ip,
  }
}

/**
 * The requested grant type if it looks like one, because other text of clients must not be logged.
 */
function grantTypeOf(params: KoaContextWithOIDC['oidc']['params']): string | undefined {
  const { grant_type: asked } = params ?? {}
  return typeof asked === 'string' && /^[\w.:-]{1,100}$/.test(asked) ? asked : undefined
}
