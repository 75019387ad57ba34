import { decodeJwt } from 'jose'
import type { KoaContextWithOIDC } from 'oidc-provider'

/** Parameters of a request, read from where oidc-provider keeps them. */

export type Client = NonNullable<KoaContextWithOIDC['oidc']['client']>

/** True for client credentials, a grant without a person. */
export function actsForItself(ctx: KoaContextWithOIDC): boolean {
  return ctx.oidc.route === 'token' && ctx.oidc.params?.grant_type === 'client_credentials'
}

/** The scope as the client sent it: in the query, the body or a pushed request. */
export function askedScope({ query, method, oidc: { body, entities } }: KoaContextWithOIDC) {
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
export function paramsOf(ctx: KoaContextWithOIDC) {
  return ctx.oidc.params as { scope?: string; resource?: string | readonly string[] }
}

export function words(scope: string | undefined): readonly string[] {
  return scope?.split(' ').filter(Boolean) ?? []
}

export function list(
  value: string | readonly (string | undefined)[] | undefined,
): readonly string[] {
  if (typeof value === 'string') return [value]
  return (value ?? []).filter((item) => item !== undefined)
}

/** The text of a client if the characters are allowed in an error (RFC 6749, section 4.1.2.1). */
export function shown(text: string): string {
  return /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(text) ? text : 'what was asked for'
}
