import { bodyParser } from '@koa/bodyparser'
import type { Context, Middleware } from 'koa'
import type { Log } from '../seldom-log.ts'
import { loggedPath } from './logged-path.ts'

const LIMIT = '16kb'

export interface ForeignFormOptions {
  /** The issuer, whose origin this server's own pages have. */
  readonly issuer: string
  readonly log: Pick<Log, 'warn'>
  /**
   * True if the form has the secret of a page of this server, for browsers that send no other
   * proof.
   */
  readonly hasSecret?: (ctx: Context) => boolean
}

/**
 * Refuses a POST that another site's page sent (403), and logs the reason, because a proxy that
 * changes header fields may also be the cause.
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
      log.warn({ address: ctx.ip, path: loggedPath(ctx.path), reason }, 'a form was refused')
      ctx.throw(403)
    }
    await next()
  }
}

const UNPROVEN =
  'there is no Sec-Fetch-Site, Origin does not name the issuer, and the secret of our forms is missing'

/**
 * Tells by header fields whether a form is foreign. `Sec-Fetch-Site` is set by the browser and no
 * page can change it, so `same-origin` is enough. Browsers send `Origin: null` beside it if a proxy
 * gave the page another Referrer-Policy (Fetch, section 3.1). Another named origin is foreign in
 * any case, because a foreign name that resolves to this address is `same-origin` to itself.
 * @returns what shows that the form is foreign
 */
function whyForeign(site: string, origin: string, ownOrigin: string): string | undefined {
  if (site !== '' && !OWN_SITE.has(site)) return `Sec-Fetch-Site is ${site.slice(0, LOGGED_LENGTH)}`
  if (origin === '' || origin === 'null' || origin === ownOrigin) return undefined
  return `Origin is ${origin.slice(0, LOGGED_LENGTH)}`
}

/** `none` means that the person caused the request, such as by reloading the page after a form. */
const OWN_SITE = new Set(['same-origin', 'none'])
/** Most characters of a header field in a log line. */
const LOGGED_LENGTH = 100

/** Reads an HTML form of up to 16 KiB: 415 for anything else, 413 for more, 400 for rubbish. */
export function readForm(): Middleware {
  const parse = bodyParser({
    enableTypes: ['form'],
    formLimit: LIMIT,
    // Errors without a status, such as broken compression, are the sender's fault too.
    onError(error, ctx) {
      ctx.throw('status' in error && typeof error.status === 'number' ? error.status : 400)
    },
  })
  return async (ctx, next) => {
    if (!ctx.is('urlencoded')) ctx.throw(415)
    await parse(ctx, next)
  }
}

/**
 * A field of the form that `readForm` read. A field that occurs twice is ignored, because no page
 * of this server sends it.
 */
export function field(ctx: Context, name: string): string {
  const { body } = ctx.request
  if (typeof body !== 'object' || body === null) return ''
  const value: unknown = Object.getOwnPropertyDescriptor(body, name)?.value
  return typeof value === 'string' ? value : ''
}
