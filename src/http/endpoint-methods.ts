import type { Middleware } from 'koa'
import type { Audience } from './audience.ts'
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

/**
 * Refuses methods that an endpoint does not take with 405 and `Allow` (RFC 9126, section 2.3; RFC
 * 9110, section 15.5.6). oidc-provider answers 404, and whoever sends a GET to the token endpoint
 * would look for a mistake in the address. Preflights for programs' endpoints are left to
 * oidc-provider, which knows none for those that people open.
 * @param issuerPath path of the issuer without a slash at its end
 */
export function refuseOtherMethods(
  issuerPath: string,
  { isForPrograms }: Pick<Audience, 'isForPrograms'>,
): Middleware {
  const methods = new Map(
    Object.entries(METHODS).map(([path, taken]) => [`${issuerPath}${path}`.toLowerCase(), taken]),
  )
  return (ctx, next) => {
    // oidc-provider's router accepts upper case and a slash at the end.
    const taken = methods.get(ctx.path.toLowerCase().replace(/\/$/, ''))
    const isPreflight =
      ctx.method === 'OPTIONS' &&
      'access-control-request-method' in ctx.headers &&
      isForPrograms(ctx.path)
    return taken === undefined || isPreflight || allowMethods(ctx, taken) ? next() : undefined
  }
}
