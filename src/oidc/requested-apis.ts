import { errors, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider'
import type { Apis } from './apis.ts'
import { actsForItself, type Client, shown } from './request-parameters.ts'

/** The APIs that a request is for, as far as its client may use them. */
export interface RequestedApis {
  /** The APIs that a client may use, for a person or for itself. */
  serversOf(ctx: KoaContextWithOIDC, client: Client): ReadonlyMap<string, ResourceServer>
  /** @throws InvalidTarget if the client may not use this API */
  serverOf(ctx: KoaContextWithOIDC, client: Client, identifier: string): ResourceServer
  /**
   * The API that the parameter `audience` names, by its identifier or by the `aud` of its tokens.
   * Some clients send `audience` instead of `resource`.
   * @throws InvalidTarget, InvalidRequest
   */
  audienceOf(ctx: KoaContextWithOIDC, client: Client): string | undefined
  /** True if a token is for the API that the person agreed to although its request names none. */
  usesGranted(ctx: KoaContextWithOIDC, client: Client, granted: readonly string[]): boolean
  /** The API of several granted ones that is meant by a request for a token that names none. */
  oneOf(ctx: KoaContextWithOIDC, client: Client, granted: readonly string[]): string | undefined
}

export function createRequestedApis(apis: Pick<Apis, 'of'>): RequestedApis {
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

  function usesGranted(
    ctx: KoaContextWithOIDC,
    client: Client,
    granted: readonly string[],
  ): boolean {
    if (audienceOf(ctx, client) !== undefined) return true
    const { byDefault } = apis.of(client)
    return byDefault !== undefined && (granted.length === 1 || granted.includes(byDefault))
  }

  function oneOf(ctx: KoaContextWithOIDC, client: Client, granted: readonly string[]) {
    const meant = audienceOf(ctx, client) ?? apis.of(client).byDefault
    return meant !== undefined && granted.includes(meant) ? meant : undefined
  }

  return { serversOf, serverOf, audienceOf, usesGranted, oneOf }
}
