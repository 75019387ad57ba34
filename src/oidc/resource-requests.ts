import { errors, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider'
import type { IssuerConfig } from '../config/schema.ts'
import { createApis } from './apis.ts'
import type { LeftOut } from './left-out.ts'
import { settleOfflineAccess } from './offline-access.ts'
import { createRefreshJudge } from './refresh-judge.ts'
import {
  actsForItself,
  askedScope,
  type Client,
  list,
  paramsOf,
  shown,
} from './request-parameters.ts'
import { createRequestedApis } from './requested-apis.ts'
import { createScopeJudge } from './scope-judge.ts'

/**
 * Decides which APIs and scopes a request is for, in the hooks that oidc-provider has for this. The
 * decision falls before a person is asked and before a refresh token is consumed.
 */

/** A code, refresh token or device code from which a token is made. */
interface Source {
  readonly scopes: ReadonlySet<string>
  readonly resourceIndicators: ReadonlySet<string | undefined>
}

export type ResourceRequests = ReturnType<typeof createResourceRequests>

export function createResourceRequests(
  config: Pick<IssuerConfig, 'resources' | 'claims'>,
  onLeftOut: (left: LeftOut) => void,
) {
  const apis = createApis(config)
  const requested = createRequestedApis(apis)
  const judge = createScopeJudge(apis, requested, onLeftOut)

  return {
    resourceIndicators: {
      enabled: true,
      defaultResource: (
        ctx: KoaContextWithOIDC,
        client: Client,
        granted?: readonly string[],
      ): string | readonly string[] | undefined => {
        if (granted) return requested.oneOf(ctx, client, granted) ?? granted
        const target = requested.audienceOf(ctx, client) ?? apis.of(client).byDefault
        // oidc-provider drops API scopes as soon as it knows that the request has no API, so judge
        // before.
        if (target === undefined) judge(ctx, client, [])
        return target
      },
      getResourceServerInfo: (
        ctx: KoaContextWithOIDC,
        identifier: string,
        client: Client,
      ): ResourceServer => {
        const server = requested.serverOf(ctx, client, identifier)
        if (actsForItself(ctx)) judge(ctx, client, list(paramsOf(ctx).resource))
        return server
      },
      useGrantedResource: (ctx: KoaContextWithOIDC, source: Source): boolean => {
        const { client } = ctx.oidc
        return (
          client !== undefined &&
          requested.usesGranted(ctx, client, list([...source.resourceIndicators]))
        )
      },
    },

    /**
     * Called by oidc-provider at the end of its checks of an authorization request, pushed or not.
     */
    extraParams: {
      audience: (ctx: KoaContextWithOIDC, _audience: string | undefined, client: Client): void => {
        const targets = list(paramsOf(ctx).resource)
        if (targets.length > 0) judge(ctx, client, targets)
        const audience = requested.audienceOf(ctx, client)
        if (audience !== undefined && !targets.includes(audience)) {
          throw new errors.InvalidTarget('audience and resource name different APIs')
        }
        const left = settleOfflineAccess(ctx, client, apis)
        if (left) onLeftOut(left)
        // A request pushed without any scope is refused later, when it is used, as oidc-provider
        // does.
        const isPushed = ctx.oidc.route === 'pushed_authorization_request'
        if (!isPushed || askedScope(ctx) !== undefined) assertSomethingAsked(ctx)
      },
    },

    judgeRefresh: createRefreshJudge(apis, requested, judge),

    /** @throws InvalidTarget where a token is about to be issued that is not for `audience` */
    assertAudience: (
      ctx: KoaContextWithOIDC,
      token: { readonly resourceServer?: { identifier(): string } | undefined },
    ): void => {
      const { client } = ctx.oidc
      const audience = client && ctx.oidc.route === 'token' && requested.audienceOf(ctx, client)
      if (!audience || token.resourceServer?.identifier() === audience) return
      throw new errors.InvalidTarget(`this grant gives no token for ${shown(audience)}`)
    },
  }
}

/**
 * Refuses a request that asks for nothing that the client may get, because oidc-provider would ask
 * the person first and then answer `access_denied` without a reason.
 * @throws InvalidScope
 */
export function assertSomethingAsked(ctx: KoaContextWithOIDC): void {
  const { requestParamScopes, requestParamOIDCScopes, resourceServers = {} } = ctx.oidc
  if (requestParamOIDCScopes.size > 0) return
  const servers = Object.values(resourceServers)
  if (servers.some(({ scopes }) => [...requestParamScopes].some((scope) => scopes.has(scope))))
    return
  throw new errors.InvalidScope('scope is missing, or names nothing that this client may get', '')
}
