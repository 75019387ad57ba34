import { bodyParser } from '@koa/bodyparser'
import type { Context, Middleware } from 'koa'
import type { Log } from '../seldom-log.ts'

const LIMIT = '16kb'

export interface ForeignFormOptions {
  /** Where our own pages are. */
  readonly issuer: string
  readonly log: Pick<Log, 'warn'>
  /** Does the form hold what only a page of ours could put there? For browsers that say nothing else. */
  readonly hasSecret?: (ctx: Context) => boolean
}

/**
 * Refuses a POST that another site's page sent (403), and logs why, because what is refused here may
 * as well be the doing of a proxy.
 */
export function refuseForeignForms(options: ForeignFormOptions): Middleware {
  const { issuer, log, hasSecret = () => false } = options
  const ownOrigin = new URL(issuer).origin
  return async (ctx, next) => {
    const site = ctx.get('Sec-Fetch-Site')
    const origin = ctx.get('Origin')
    const isProven = site !== '' || origin === ownOrigin || hasSecret(ctx)
    const reason = whyForeign(site, origin, ownOrigin) ?? (isProven ? undefined : UNPROVEN)
    if (reason !== undefined) {
      // Whoever knows the identifier of an interaction is half way into it.
      const path = ctx.path.replace(INTERACTION, '$1:uid')
      log.warn({ address: ctx.ip, path, reason }, 'a form was refused')
      ctx.throw(403)
    }
    await next()
  }
}

const INTERACTION = /(\/interaction\/)[^/]+/

const UNPROVEN =
  'there is no Sec-Fetch-Site, Origin does not name the issuer, and the secret of our forms is missing'

/**
 * `Sec-Fetch-Site` is the browser's own word, which no page can change, so `same-origin` is enough.
 * `Origin: null` beside it is what browsers send where a proxy gave our pages another Referrer-Policy
 * (Fetch, section 3.1). A named origin that is not ours is foreign in any case, because a name that
 * somebody else pointed at this address is `same-origin` to itself.
 * @returns what shows that a form is not ours
 */
function whyForeign(site: string, origin: string, ownOrigin: string): string | undefined {
  if (site !== '' && !OWN_SITE.has(site)) return `Sec-Fetch-Site is ${site.slice(0, SHOWN)}`
  if (origin === '' || origin === 'null' || origin === ownOrigin) return undefined
  return `Origin is ${origin.slice(0, SHOWN)}`
}

/** `none` is a person's own doing, such as loading the page that a form led to once more. */
const OWN_SITE = new Set(['same-origin', 'none'])
/** Characters of a header field that a log line repeats. */
const SHOWN = 100

/** Reads an HTML form of up to 16 KiB: 415 for anything else, 413 for more, 400 for rubbish. */
export function readForm(): Middleware {
  const parse = bodyParser({
    enableTypes: ['form'],
    formLimit: LIMIT,
    // Broken compression and the like come without a status: they are the sender's doing as well.
    onError(error, ctx) {
      ctx.throw('status' in error && typeof error.status === 'number' ? error.status : 400)
    },
  })
  return async (ctx, next) => {
    if (!ctx.is('urlencoded')) ctx.throw(415)
    await parse(ctx, next)
  }
}

/** One field of the form that `readForm` read. A field that is there twice is not one of ours. */
export function field(ctx: Context, name: string): string {
  const { body } = ctx.request
  if (typeof body !== 'object' || body === null) return ''
  const value: unknown = Object.getOwnPropertyDescriptor(body, name)?.value
  return typeof value === 'string' ? value : ''
}
