import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Apis } from './apis.ts'
import { type Client, list, paramsOf, shown, words } from './request-parameters.ts'
import type { RequestedApis } from './requested-apis.ts'
import type { ScopeJudge } from './scope-judge.ts'

type RefreshToken = NonNullable<KoaContextWithOIDC['oidc']['refreshToken']>

/**
 * Checks that a refresh asks for what its grant can give, and drops OpenID scopes that the
 * client has lost since. oidc-provider checks too late, after it has consumed the refresh
 * token.
 * @throws InvalidTarget, InvalidScope
 */
export function createRefreshJudge(
  apis: Pick<Apis, 'of' | 'isOpenid'>,
  requested: RequestedApis,
  judge: ScopeJudge,
): (ctx: KoaContextWithOIDC) => void {
  function dropLostScopes(refreshToken: RefreshToken, client: Client): void {
    const { openid: allowed } = apis.of(client)
    const scopes = [...refreshToken.scopes].filter((s) => !apis.isOpenid(s) || allowed.includes(s))
    if (scopes.length < refreshToken.scopes.size) refreshToken.scope = scopes.join(' ')
  }

  /** The APIs that the new access token is for; more than one if the request must name one. */
  function targetsOf(
    ctx: KoaContextWithOIDC,
    client: Client,
    granted: readonly string[],
  ): readonly string[] {
    const { resource, scope } = paramsOf(ctx)
    if (resource !== undefined) return list(resource)
    const isForApi =
      requested.usesGranted(ctx, client, granted) ||
      !(scope ? words(scope) : [...(ctx.oidc.refreshToken?.scopes ?? [])]).includes('openid')
    if (!isForApi) return []
    return granted.length > 1 ? [requested.oneOf(ctx, client, granted) ?? granted].flat() : granted
  }

  return (ctx) => {
    const { client, refreshToken } = ctx.oidc
    if (!client || !refreshToken) return
    dropLostScopes(refreshToken, client)
    const granted = list([...refreshToken.resourceIndicators])
    const targets = targetsOf(ctx, client, granted)
    if (targets.length > 1) {
      throw new errors.InvalidTarget(`resource must name one of ${targets.map(shown).join(', ')}`)
    }
    for (const api of targets) {
      requested.serverOf(ctx, client, api)
      if (!granted.includes(api)) {
        throw new errors.InvalidTarget(`this refresh token was not given for ${shown(api)}`)
      }
    }
    if (paramsOf(ctx).scope !== undefined) judge(ctx, client, targets)
  }
}
