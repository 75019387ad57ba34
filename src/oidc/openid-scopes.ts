import type { IssuerConfig } from '../config/schema.ts'

/** Scopes of OpenID Connect Core 1.0 that mean no claims. */
const WITHOUT_CLAIMS = ['openid', 'offline_access'] as const

/** Every scope that is not one of an API. */
export function openidScopes({ claims }: Pick<IssuerConfig, 'claims'>): readonly string[] {
  return [...new Set([...WITHOUT_CLAIMS, ...Object.keys(claims)])]
}

/**
 * Scopes outside the APIs that a client may ask for: its `scope` limits them.
 * @param client of oidc-provider
 */
export function openidScopesOf(
  config: Pick<IssuerConfig, 'claims'>,
  client: { readonly scope?: unknown },
): readonly string[] {
  const { scope } = client
  const allowed = typeof scope === 'string' ? scope.split(' ') : undefined
  return openidScopes(config).filter((name) => allowed?.includes(name) ?? true)
}
