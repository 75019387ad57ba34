import type { ServerResponse } from 'node:http'
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { UsedMeanwhile } from '../artifacts/artifact-record.ts'
import type { ArtifactAdapters } from './outage.ts'
import { createRefreshReuse, type Refresh, type RefreshReuseOptions } from './refresh-reuse.ts'
import { saveAll, type TokenRequest } from './token-request.ts'
import type { UsedUp } from './used-up.ts'
import { createWaitingAdapters } from './waiting-adapters.ts'

/**
 * Requests to the token endpoint: what they consume and what they issue.
 *
 * oidc-provider consumes a code or a refresh token before it has checked the whole request, and
 * stores what it issues piece by piece. Here both wait until the answer is final: a refused request
 * consumes nothing and stores nothing, and everything is stored together.
 */
export interface TokenRequests {
  readonly adapters: ArtifactAdapters
  /** Wraps the handler of a grant type (`Provider.registerGrantType`). */
  readonly handler: AroundGrant
}

/** Wraps the handler of a grant type. */
export type AroundGrant = <Context extends KoaContextWithOIDC>(
  grantType: string,
  handler: (ctx: Context) => void | Promise<void>,
) => (ctx: Context) => void | Promise<void>

/** Grant types that consume a code or a token. */
const GRANTS: readonly string[] = [
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
]

export interface TokenRequestsOptions extends RefreshReuseOptions {
  readonly usedUp: Pick<UsedUp, 'giveBack'>
}

export function createTokenRequests(options: TokenRequestsOptions): TokenRequests {
  const { adapters, exchange, clock, usedUp } = options
  const reuse = createRefreshReuse(options)
  const open = new WeakMap<object, TokenRequest>()
  const current = () => {
    const { ctx } = Provider
    return ctx && open.get(ctx)
  }

  /** The answer is final: stores what was issued and consumes the code or token. */
  async function settle(ctx: KoaContextWithOIDC, request: TokenRequest): Promise<void> {
    if (isUnheard(ctx.res)) return
    const { used, earlier, issued } = request
    if (earlier) return reuse.repeat(ctx, earlier, issued)
    if (!used) return saveAll(adapters, issued)
    if (reuse.isOn && isRefresh(request)) return reuse.settle(ctx, request)
    await exchange({ used, issued }).catch(reportRevoked(ctx))
    if (isUnheard(ctx.res)) usedUp.giveBack(ctx)
  }

  return {
    adapters: createWaitingAdapters(adapters, current, reuse),
    handler: (grantType, handler) => {
      if (!GRANTS.includes(grantType)) return handler
      return async (ctx) => {
        const { refresh_token: presented } = ctx.oidc.params ?? {}
        const token =
          grantType === 'refresh_token' && typeof presented === 'string' ? presented : undefined
        const request: TokenRequest = { token, since: clock.now(), issued: [] }
        open.set(ctx, request)
        await handler(ctx)
        open.delete(ctx)
        await settle(ctx, request)
      }
    },
  }
}

/**
 * True if nobody gets the answer: the client has gone, or was told that the request took too long.
 * Its retry would look like a thief's second use.
 */
function isUnheard({ destroyed, writableEnded }: ServerResponse): boolean {
  return destroyed || writableEnded
}

/** True if the request consumes a refresh token. */
function isRefresh(request: TokenRequest): request is Refresh {
  return request.token !== undefined && request.used !== undefined
}

/** Reports a grant that the exchange revoked, because its code or token was used twice at once. */
function reportRevoked(ctx: KoaContextWithOIDC): (error: unknown) => never {
  return (error) => {
    if (error instanceof Error && error.cause instanceof UsedMeanwhile) {
      ctx.oidc.provider.emit('grant.revoked', ctx, ctx.oidc.entities.Grant?.jti ?? '')
    }
    throw error
  }
}
