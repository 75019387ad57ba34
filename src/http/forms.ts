import { bodyParser } from '@koa/bodyparser'
import type { Context, Middleware } from 'koa'

const LIMIT = '16kb'

/**
 * Refuses a POST that another site's page sent (403). A form of ours comes with our Origin, and
 * browsers that send Sec-Fetch-Site say `same-origin`; either header alone can refuse. Neither is
 * there in very old browsers: SameSite=Lax cookies stand behind this check.
 */
export function refuseForeignForms(issuer: string): Middleware {
  const ownOrigin = new URL(issuer).origin
  return async (ctx, next) => {
    const site = ctx.get('Sec-Fetch-Site')
    const origin = ctx.get('Origin')
    if (site === 'cross-site' || site === 'same-site') ctx.throw(403)
    if (origin !== '' && origin !== ownOrigin) ctx.throw(403)
    await next()
  }
}

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
