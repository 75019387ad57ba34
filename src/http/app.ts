import Koa, { type Middleware } from 'koa'
import mount from 'koa-mount'
import { hideFromOpaqueOrigins } from '../oidc/cors.ts'
import { kidOf } from '../oidc/jwt-access-tokens.ts'
import { issuerPath, pinOrigin, routedPaths } from '../oidc/origin.ts'
import type { Log } from '../seldom-log.ts'
import type { Audience } from './audience.ts'
import type { Brand } from './brand.ts'
import { setClientAddress } from './client-address.ts'
import { takeEmptySecretForNone } from './empty-secret.ts'
import { refuseOtherMethods } from './endpoint-methods.ts'
import { isOfTheClient } from './gone.ts'
import { allowMethods } from './methods.ts'
import { errorPages, UNFIT } from './pages.ts'
import { spareParsing } from './spared-parsing.ts'
import { staticFiles } from './static-files.ts'
import { providerHeaders, type Views } from './views.ts'

export interface AppOptions {
  readonly issuer: string
  /** Number of reverse proxies in front whose `X-Forwarded-For` is trusted. */
  readonly trustedProxies: number
  readonly views: Views
  readonly brand: Brand
  readonly audience: Audience
  readonly interactions: Middleware
  readonly provider: Middleware
  /** True if there is a client of this id and it has no secret. */
  readonly isPublicClient: (id: string) => Promise<boolean>
  readonly cookieKeys: NonNullable<Koa['keys']>
  /** Reason why this node may not serve; undefined while it may. */
  readonly obstacle: () => string | undefined
  /** Loads the ring if a token names a key that this node does not know. */
  readonly lookFor: (kid: string) => Promise<void>
  readonly log: Log
  /** Called when a client closed the connection before its answer was sent. */
  readonly onCutShort: () => void
}

/**
 * The public listener: an ordered list of middleware. JWKS and discovery are answered before it.
 * Middleware that every request passes avoids `async`, because each promise costs some
 * microseconds.
 */
export function createApp(options: AppOptions): Koa {
  const { issuer, trustedProxies, views, audience, log } = options
  const app = spareParsing(setClientAddress(pinOrigin(new Koa(), issuer), trustedProxies))
  app.keys = options.cookieKeys
  app.on('error', (error) => {
    if (isOfTheClient(error)) options.onCutShort()
    else log.error({ err: error }, 'an answer could not be sent')
  })

  const path = issuerPath(issuer) || '/'
  app.use(errorPages({ views, audience, log }))
  app.use(refuseWhileUnfit(options))
  app.use(loadHintedKey(options.lookFor))
  const pages = new Koa()
    .use(staticFiles(options.brand.files))
    .use(options.interactions)
    .use(home(views))
  app.use(mount(path, pagesOnly(mount(pages))))
  app.use(resumeByPathAlone(issuer))
  app.use(refuseOtherMethods(issuer, audience))
  app.use(providerHeaders(audience))
  app.use(hideFromOpaqueOrigins())
  app.use(takeEmptySecretForNone(options.isPublicClient))
  app.use(options.provider)
  return app
}

/**
 * Drops the query of `/auth/:uid`, where a browser returns from the pages and only its cookie and
 * the path count. If the cookie is missing, oidc-provider looks for a client in the query and fails
 * with a server error. A path without a possible identifier is answered 404.
 */
function resumeByPathAlone(issuer: string): Middleware {
  const start = `${issuerPath(issuer)}/auth/`
  const routed = routedPaths(issuer)
  return (ctx, next) => {
    if (!routed(ctx.path).startsWith(start)) return next()
    if (!RESUME_ID.test(ctx.path.slice(start.length))) return undefined
    if (ctx.querystring !== '') ctx.querystring = ''
    return next()
  }
}

/** An identifier; oidc-provider accepts a slash at the end of every path. */
const RESUME_ID = /^[\w-]{16,64}\/?$/

/** Skips the routes of pages for requests of programs, such as token requests. */
function pagesOnly(pages: Middleware): Middleware {
  return (ctx, next) => (PAGES.test(ctx.path) ? pages(ctx, next) : next())
}

const PAGES = /^\/($|static\/|interaction\/)/

/** Page for people who open the issuer's own address. */
function home(views: Views): Middleware {
  return async (ctx, next) => {
    if (ctx.path !== '/') return next()
    if (!allowMethods(ctx, ['GET', 'HEAD'])) return
    views.render(ctx, 'done', {
      status: 200,
      title: 'This is where people sign in',
      message: 'Start in the application that you want to use; it brings you here.',
    })
  }
}

/**
 * Answers 503 while this node has not loaded the ring for `maxRingAge`, because the node may lack
 * keys that others sign with. A load balancer then sends the request to another node.
 */
function refuseWhileUnfit({
  obstacle,
  views,
  audience,
}: Pick<AppOptions, 'obstacle' | 'views' | 'audience'>): Middleware {
  return (ctx, next) => {
    if (obstacle() === undefined) return next()
    ctx.vary('Accept')
    if (audience.wantsPage(ctx.path, ctx.headers.accept)) {
      views.render(ctx, 'error', { ...UNFIT, status: 503, mayRetry: ctx.method === 'GET' })
      return
    }
    ctx.status = 503
    ctx.body = {
      error: 'temporarily_unavailable',
      error_description: 'the signing keys or the clock of this node are out of date',
    }
  }
}

/**
 * Loads the ring if a sign-out carries an ID token signed with a key that this node does not know,
 * because another node may just have begun to sign with it (OIDC Core 1.0, section 10.1.1, asks RPs
 * to fetch keys again in this case).
 */
function loadHintedKey(lookFor: (kid: string) => Promise<void>): Middleware {
  return (ctx, next) => {
    if (!ctx.querystring.includes('id_token_hint')) return next()
    const { id_token_hint: hint } = ctx.query
    const kid = typeof hint === 'string' ? kidOf(hint) : undefined
    return kid === undefined ? next() : lookFor(kid).then(next)
  }
}
