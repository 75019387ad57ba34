import type { Middleware } from 'koa'
import { issuerPath, routedPaths } from '../oidc/origin.ts'
import type { Audience } from './audience.ts'
import { allowMethods } from './methods.ts'

const FORM = ['POST']
const PAGE = ['GET', 'HEAD']

/** Methods of oidc-provider's endpoints, by path below the issuer's. */
const METHODS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
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
  }),
)

/** Addresses from which a sign-in goes on, below the issuer's path. */
const RESUME = /^\/(?:auth|device)\/[^/]+$/

/**
 * Refuses methods that an endpoint does not take with 405 and `Allow` (RFC 9126, section 2.3; RFC
 * 9110, section 15.5.6). oidc-provider answers 404, and whoever sends a GET to the token endpoint
 * would look for a mistake in the address. Preflights for programs' endpoints are left to
 * oidc-provider, which knows none for those that people open.
 */
export function refuseOtherMethods(
  issuer: string,
  { isForPrograms }: Pick<Audience, 'isForPrograms'>,
): Middleware {
  const start = issuerPath(issuer)
  const routed = routedPaths(issuer)
  const methodsAt = (path: string) => {
    if (!path.startsWith(`${start}/`)) return undefined
    const below = path.slice(start.length)
    return METHODS.get(below) ?? (RESUME.test(below) ? PAGE : undefined)
  }
  return (ctx, next) => {
    const taken = methodsAt(routed(ctx.path))
    const isPreflight =
      ctx.method === 'OPTIONS' &&
      'access-control-request-method' in ctx.headers &&
      isForPrograms(ctx.path)
    return taken === undefined || isPreflight || allowMethods(ctx, taken) ? next() : undefined
  }
}
