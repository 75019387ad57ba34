import type { Middleware } from 'koa'
import { allowMethods } from './methods.ts'

const FORM = ['POST']
const PAGE = ['GET', 'HEAD']

/** Methods of oidc-provider's endpoints, by path below the issuer's. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  '/auth': [...PAGE, 'POST'],
  '/device': [...PAGE, 'POST'],
  '/device/auth': FORM,
  '/request': FORM,
  '/session/end': [...PAGE, 'POST'],
  '/session/end/confirm': FORM,
  '/session/end/success': PAGE,
  '/token': FORM,
  '/token/introspection': FORM,
  '/token/revocation': FORM,
  '/userinfo': [...PAGE, 'POST'],
}

/** Endpoints that people open, and no scripts: oidc-provider knows no preflights for them. */
const FOR_PEOPLE = [
  '/auth',
  '/device',
  '/session/end',
  '/session/end/confirm',
  '/session/end/success',
] as const

/**
 * Refuses methods that an endpoint does not take with 405 and `Allow` (RFC 9126, section 2.3; RFC
 * 9110, section 15.5.6). oidc-provider answers 404, and whoever sends a GET to the token endpoint
 * would look for a mistake in the address. Preflights of scripts are left to oidc-provider.
 * @param issuerPath path of the issuer without a slash at its end
 */
export function refuseOtherMethods(issuerPath: string): Middleware {
  const methods = new Map(
    Object.entries(METHODS).map(([path, taken]) => [`${issuerPath}${path}`.toLowerCase(), taken]),
  )
  const forPeople = new Set(FOR_PEOPLE.map((path) => `${issuerPath}${path}`.toLowerCase()))
  return (ctx, next) => {
    // oidc-provider's router accepts upper case and a slash at the end.
    const path = ctx.path.toLowerCase().replace(/\/$/, '')
    const taken = methods.get(path)
    const isPreflight =
      ctx.method === 'OPTIONS' &&
      'access-control-request-method' in ctx.headers &&
      !forPeople.has(path)
    return taken === undefined || isPreflight || allowMethods(ctx, taken) ? next() : undefined
  }
}
