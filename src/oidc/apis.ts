import type { ResourceServer } from 'oidc-provider'
import { ownProperties } from '../clients/properties.ts'
import type { Config, ResourceSettings } from '../config/schema.ts'
import { openidScopes, openidScopesOf } from './openid-scopes.ts'

/**
 * The APIs of the configuration, and what each client gets there: only what its `resources` list.
 */
export interface Apis {
  /** @param client of oidc-provider, which has one object for all requests of a client */
  of(client: object): ClientApis
  /** True if any API of the configuration has the scope. */
  knows(scope: string): boolean
  /** True for a scope outside the APIs (`openid-scopes.ts`). */
  isOpenid(scope: string): boolean
}

/** The APIs of one client, by identifier (RFC 8707). */
export interface ClientApis {
  /** The client acts for a person. */
  readonly forPeople: ReadonlyMap<string, ResourceServer>
  /** The client acts for itself (client credentials). */
  readonly forItself: ReadonlyMap<string, ResourceServer>
  /** The API that a token is for if its request names none. */
  readonly byDefault: string | undefined
  /** Scopes outside the APIs that the client may ask for (`openid-scopes.ts`). */
  readonly openid: readonly string[]
}

export function createApis(config: Pick<Config, 'resources' | 'claims'>): Apis {
  const configured = new Map(config.resources.map((api) => [api.identifier, api]))
  const scopes = new Set(config.resources.flatMap((api) => api.scopes))
  const outside = new Set(openidScopes(config))
  const known = new WeakMap<object, ClientApis>()

  const work = (client: object): ClientApis => {
    const { resources = {}, default_resource: byDefault } = ownProperties(client)
    const forItself = Object.entries(resources).flatMap(([identifier, allowed]) => {
      const api = configured.get(identifier)
      return api ? [[identifier, resourceServer(api, allowed)] as const] : []
    })
    const openid = openidScopesOf(config, client)
    return {
      byDefault,
      openid,
      forItself: new Map(forItself),
      forPeople: new Map(
        forItself.map(([identifier, server]) =>
          identifier === byDefault
            ? [identifier, withScopes(server, openid)]
            : [identifier, server],
        ),
      ),
    }
  }
  return {
    of: (client) => {
      const found = known.get(client) ?? work(client)
      known.set(client, found)
      return found
    },
    knows: (scope) => scopes.has(scope),
    isOpenid: (scope) => outside.has(scope),
  }
}

function resourceServer(api: ResourceSettings, allowed: readonly string[]): ResourceServer {
  return {
    scope: api.scopes.filter((scope) => allowed.includes(scope)).join(' '),
    audience: api.audience ?? api.identifier,
    accessTokenTTL: api.tokenLifetime,
    accessTokenFormat: api.tokenFormat,
    // The types list the algorithms; the configuration has checked that a ring has this one.
    jwt: { sign: { alg: api.algorithm } },
  } as ResourceServer
}

/**
 * Adds the granted OpenID scopes to tokens for the default API, because these replace tokens
 * without an API, which userinfo accepts. The scope `openid` tells userinfo that it may answer.
 */
function withScopes(server: ResourceServer, more: readonly string[]): ResourceServer {
  return { ...server, scope: [server.scope, ...more].filter(Boolean).join(' ') }
}
