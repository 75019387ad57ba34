import { decodeJwt } from 'jose'
import { errors, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider'
import { ownProperties } from '../clients/properties.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { createApis } from './apis.ts'
import { openidScopes } from './openid-scopes.ts'
import { judgeScopes, type ScopeVocabulary } from './requested-scopes.ts'

/**
 * Decides which APIs and scopes a request is for, in the hooks that oidc-provider has for this. The
 * decision falls before a person is asked and before a refresh token is consumed.
 */

const OFFLINE = 'offline_access'

/** Most characters of a scope in a log line. */
const LOGGED_LENGTH = 100

type Client = NonNullable<KoaContextWithOIDC['oidc']['client']>

/** A code, refresh token or device code from which a token is made. */
interface Source {
  readonly scopes: ReadonlySet<string>
  readonly resourceIndicators: ReadonlySet<string | undefined>
}

/**
 * A scope that a client asked for and does not get, without an error: `scope` of the answer omits
 * it.
 */
export interface LeftOut {
  readonly client: string
  readonly scope: string
  readonly reason: string
}

export type ResourceRequests = ReturnType<typeof createResourceRequests>

export function createResourceRequests(
  config: Pick<IssuerConfig, 'resources' | 'claims'>,
  onLeftOut: (left: LeftOut) => void,
) {
  const apis = createApis(config)
  const openid = new Set(openidScopes(config))

  const tellLeftOut = ({ clientId }: Client, scope: string, reason: string) =>
    onLeftOut({ client: clientId, scope: scope.slice(0, LOGGED_LENGTH), reason })

  /** The APIs that a client may use, for a person or for itself. */
  function serversOf(ctx: KoaContextWithOIDC, client: Client) {
    const { forPeople, forItself } = apis.of(client)
    return actsForItself(ctx) ? forItself : forPeople
  }

  function serverOf(ctx: KoaContextWithOIDC, client: Client, identifier: string): ResourceServer {
    const servers = serversOf(ctx, client)
    const server = servers.get(identifier)
    if (server) return server
    const known = [...servers.keys()].map(shown).join(', ')
    throw new errors.InvalidTarget(
      known === ''
        ? 'this client may use no API: its resources list none'
        : `${shown(identifier)} is no API that this client may use; it may use ${known}`,
    )
  }

  /** Refuses scopes that are a mistake, and takes out of the request those that are left out. */
  function judge(ctx: KoaContextWithOIDC, client: Client, targets: readonly string[]): void {
    const params = paramsOf(ctx)
    if (params.scope === undefined) return
    const scopes = words(params.scope)
    const servers = serversOf(ctx, client)
    const given = targets.flatMap((target) => words(servers.get(target)?.scope))
    const vocabulary: ScopeVocabulary = {
      isOpenid: (scope) => openid.has(scope),
      isOfApi: apis.knows,
      apisWith: (scope) =>
        [...servers].flatMap(([api, server]) => (words(server.scope).includes(scope) ? api : [])),
    }
    const judgement = judgeScopes(
      {
        scopes,
        given: new Set(given),
        hasApi: targets.length > 0,
        isForPerson: !actsForItself(ctx),
      },
      vocabulary,
    )
    if ('error' in judgement) {
      const { error, description, scope } = judgement
      if (error === 'invalid_scope') throw new errors.InvalidScope(description, scope)
      throw new errors.InvalidTarget(description)
    }
    for (const scope of judgement.leftOut) tellLeftOut(client, scope, 'the scope is unknown')
    if (judgement.leftOut.length > 0) params.scope = judgement.kept.join(' ')
  }

  /**
   * The API that the parameter `audience` names, by its identifier or by the `aud` of its tokens.
   * Some clients send `audience` instead of `resource`.
   * @throws InvalidTarget, InvalidRequest
   */
  function audienceOf(ctx: KoaContextWithOIDC, client: Client): string | undefined {
    // At the token endpoint oidc-provider drops unknown parameters, so the body is read.
    const from = ctx.oidc.route === 'token' ? ctx.oidc.body : ctx.oidc.params
    const audience = from?.audience
    if (audience === undefined || audience === '') return undefined
    if (typeof audience !== 'string') {
      throw new errors.InvalidRequest("'audience' parameter must not be provided twice")
    }
    const { forItself } = apis.of(client)
    if (forItself.has(audience)) return audience
    const found = [...forItself].find(([, server]) => server.audience === audience)
    if (found) return found[0]
    throw new errors.InvalidTarget(
      `${shown(audience)} is no API that this client may use; audience and resource mean the same here`,
    )
  }

  /** True if a token is for the API that the person agreed to although its request names none. */
  function usesGranted(
    ctx: KoaContextWithOIDC,
    client: Client,
    granted: readonly string[],
  ): boolean {
    if (audienceOf(ctx, client) !== undefined) return true
    const { byDefault } = apis.of(client)
    return byDefault !== undefined && (granted.length === 1 || granted.includes(byDefault))
  }

  /** The API of several granted ones that is meant by a request for a token that names none. */
  function oneOf(ctx: KoaContextWithOIDC, client: Client, granted: readonly string[]) {
    const meant = audienceOf(ctx, client) ?? apis.of(client).byDefault
    return meant !== undefined && granted.includes(meant) ? meant : undefined
  }

  /**
   * Puts back `offline_access` for clients that may have it without `prompt=consent`, because some
   * clients cannot ask for both. oidc-provider drops it (OpenID Connect Core 1.0, section 11)
   * before any hook sees it.
   */
  function settleOfflineAccess(ctx: KoaContextWithOIDC, client: Client): void {
    const asked = askedScope(ctx)
    // The cheap comparison first, because most requests do not contain it.
    if (!asked?.includes(OFFLINE) || !words(asked).includes(OFFLINE)) return
    const params = paramsOf(ctx)
    const kept = words(params.scope)
    if (kept.includes(OFFLINE)) return
    const reason = whyNoOfflineAccess(client)
    if (reason === undefined) params.scope = [...kept, OFFLINE].join(' ')
    else tellLeftOut(client, OFFLINE, reason)
  }

  function whyNoOfflineAccess(client: Client): string | undefined {
    if (!client.grantTypeAllowed('refresh_token')) {
      return 'the client does not have the grant type refresh_token'
    }
    if (!apis.of(client).openid.includes(OFFLINE)) {
      return 'the scope of the client does not list it'
    }
    if (ownProperties(client).offline_access_without_prompt) return undefined
    return 'the scope needs prompt=consent, or offline_access_without_prompt of the client'
  }

  return {
    resourceIndicators: {
      enabled: true,
      defaultResource: (
        ctx: KoaContextWithOIDC,
        client: Client,
        granted?: readonly string[],
      ): string | readonly string[] | undefined => {
        if (granted) return oneOf(ctx, client, granted) ?? granted
        const target = audienceOf(ctx, client) ?? apis.of(client).byDefault
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
        const server = serverOf(ctx, client, identifier)
        if (actsForItself(ctx)) judge(ctx, client, list(paramsOf(ctx).resource))
        return server
      },
      useGrantedResource: (ctx: KoaContextWithOIDC, source: Source): boolean => {
        const { client } = ctx.oidc
        return (
          client !== undefined && usesGranted(ctx, client, list([...source.resourceIndicators]))
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
        const audience = audienceOf(ctx, client)
        if (audience !== undefined && !targets.includes(audience)) {
          throw new errors.InvalidTarget('audience and resource name different APIs')
        }
        settleOfflineAccess(ctx, client)
        // A request pushed without any scope is refused later, when it is used, as oidc-provider
        // does.
        const isPushed = ctx.oidc.route === 'pushed_authorization_request'
        if (!isPushed || askedScope(ctx) !== undefined) assertSomethingAsked(ctx)
      },
    },

    /**
     * Checks that a refresh asks for what its grant can give, and drops OpenID scopes that the
     * client has lost since. oidc-provider checks too late, after it has consumed the refresh
     * token.
     * @throws InvalidTarget, InvalidScope
     */
    judgeRefresh: (ctx: KoaContextWithOIDC): void => {
      const { client, refreshToken } = ctx.oidc
      if (!client || !refreshToken) return
      const { resource, scope } = paramsOf(ctx)
      const { openid: allowed } = apis.of(client)
      const scopes = [...refreshToken.scopes].filter((s) => !openid.has(s) || allowed.includes(s))
      if (scopes.length < refreshToken.scopes.size) refreshToken.scope = scopes.join(' ')
      const granted = list([...refreshToken.resourceIndicators])
      const target = () => {
        if (resource !== undefined) return list(resource)
        const isForApi =
          usesGranted(ctx, client, granted) ||
          !(scope ? words(scope) : [...refreshToken.scopes]).includes('openid')
        if (!isForApi) return []
        return granted.length > 1 ? [oneOf(ctx, client, granted) ?? granted].flat() : granted
      }
      const targets = target()
      if (targets.length > 1) {
        throw new errors.InvalidTarget(`resource must name one of ${targets.map(shown).join(', ')}`)
      }
      for (const api of targets) {
        serverOf(ctx, client, api)
        if (!granted.includes(api)) {
          throw new errors.InvalidTarget(`this refresh token was not given for ${shown(api)}`)
        }
      }
      if (scope !== undefined) judge(ctx, client, targets)
    },

    /** @throws InvalidTarget where a token is about to be issued that is not for `audience` */
    assertAudience: (
      ctx: KoaContextWithOIDC,
      token: { readonly resourceServer?: { identifier(): string } | undefined },
    ): void => {
      const { client } = ctx.oidc
      const audience = client && ctx.oidc.route === 'token' && audienceOf(ctx, client)
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

/** True for client credentials, a grant without a person. */
function actsForItself(ctx: KoaContextWithOIDC): boolean {
  return ctx.oidc.route === 'token' && ctx.oidc.params?.grant_type === 'client_credentials'
}

/** The scope as the client sent it: in the query, the body or a pushed request. */
function askedScope({ query, method, oidc: { body, entities } }: KoaContextWithOIDC) {
  // The types lack `request`, which the endpoint for pushed requests of this server has stored.
  const pushed = entities.PushedAuthorizationRequest as { readonly request?: string } | undefined
  const { scope } = pushed?.request
    ? decodeJwt(pushed.request)
    : method === 'POST'
      ? (body ?? {})
      : query
  return typeof scope === 'string' ? scope : undefined
}

/** The parameters, with a type that names them and allows changes, as oidc-provider does. */
function paramsOf(ctx: KoaContextWithOIDC) {
  return ctx.oidc.params as { scope?: string; resource?: string | readonly string[] }
}

function words(scope: string | undefined): readonly string[] {
  return scope?.split(' ').filter(Boolean) ?? []
}

function list(value: string | readonly (string | undefined)[] | undefined): readonly string[] {
  return [value].flat().filter((item) => item !== undefined)
}

/** The text of a client if the characters are allowed in an error (RFC 6749, section 4.1.2.1). */
function shown(text: string): string {
  return /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(text) ? text : 'what was asked for'
}
