import type { Context, Middleware } from 'koa'
import { type Configuration, errors } from 'oidc-provider'
import { StoreUnavailable } from '../errors.ts'
import { Outage } from '../oidc/outage.ts'
import type { Log } from '../seldom-log.ts'
import { wayBack } from './about-client.ts'
import type { Audience } from './audience.ts'
import { devicePages } from './device-pages.ts'
import { createErrorId, logProviderError } from './error-log.ts'
import { isGone } from './gone.ts'
import { loggedPath } from './logged-path.ts'
import { RETRY_AFTER } from './retry-after.ts'
import { signOutPages } from './sign-out-pages.ts'
import type { Pages, Views } from './views.ts'

interface PageOptions {
  readonly views: Views
  readonly log: Log
}

interface ProviderPageOptions extends PageOptions {
  readonly issuer: string
}

interface ErrorPageOptions extends PageOptions {
  readonly audience: Pick<Audience, 'isForPrograms'>
}

type Words = Pick<Pages['error'], 'title' | 'message'>

export const EXPIRED: Words = {
  title: 'This sign\u2011in has expired',
  message: 'Go back to the application that you came from and start again.',
}

const OUR_FAULT: Words = {
  title: 'Something went wrong',
  message: 'This is our fault, not yours. Please try again in a moment.',
}

/** Words while a node may not serve. */
export const UNFIT: Words = {
  title: 'Please try again in a moment',
  message: 'Nobody can sign in here right now. Nothing that you did was wrong.',
}

const NOT_FOUND: Words = {
  title: 'Page not found',
  message: 'There is nothing at this address.',
}

const BY_STATUS: Readonly<Record<number, Words>> = {
  400: {
    title: 'This request cannot be read',
    message: 'Go back to the application that you came from and start again.',
  },
  403: {
    title: 'This form came from somewhere else',
    message: 'For your protection, forms are only accepted from our own pages.',
  },
  404: NOT_FOUND,
  405: { title: 'This does not work here', message: 'The address exists, but not for this.' },
  413: { title: 'That is too much', message: 'The form was larger than any that we hand out.' },
  415: { title: 'This is not a form', message: 'Only ordinary forms are accepted here.' },
}

/** Error codes for programs, by status; other statuses get a general code. */
const CODES: Readonly<Record<number, string>> = { 503: 'temporarily_unavailable' }

/** Descriptions of errors for programs, by status. */
const DESCRIPTIONS: Readonly<Record<number, string>> = {
  404: 'there is nothing at this address',
  405: 'the address does not take this method; the Allow header field lists those that it takes',
  413: 'the content is larger than any that is taken here',
  415: 'the content has to be a form (application/x-www-form-urlencoded)',
}

/**
 * Routes of oidc-provider that browsers use; all others answer JSON, whatever the client accepts.
 */
const FOR_PEOPLE = new Set([
  ...['authorization', 'resume', 'code_verification', 'device_resume'],
  ...['end_session', 'end_session_confirm', 'end_session_success'],
])

/** The parts of oidc-provider's configuration that show pages. Merge `features` with the others. */
export function providerPages({ views, issuer, log }: ProviderPageOptions) {
  return {
    renderError(ctx, out, error) {
      if (!FOR_PEOPLE.has(ctx.oidc.route)) {
        ctx.body = out
        return
      }
      const way = wayBack(ctx.oidc.client, issuer)
      if (error instanceof errors.SessionNotFound) {
        return views.render(ctx, 'error', { ...EXPIRED, way })
      }
      if (ctx.status === 404) return views.render(ctx, 'error', NOT_FOUND)
      const errorId = createErrorId()
      const isOurs = out.error === 'server_error' || error instanceof Outage
      logProviderError(log, { errorId, ctx, error, isOurs })
      if (isOurs) {
        const mayRetry = ctx.status === 503 && ctx.method === 'GET'
        return views.render(ctx, 'error', { ...OUR_FAULT, errorId, mayRetry, way })
      }
      views.render(ctx, 'error', {
        title: 'This request cannot be completed',
        message:
          'The application sent something that we cannot accept. Its makers need to know why.',
        detail: [out.error, out.error_description].filter(Boolean).join(': '),
        errorId,
        way,
      })
    },

    features: {
      rpInitiatedLogout: signOutPages(views, issuer),
      deviceFlow: devicePages(views, log),
    },
  } satisfies Pick<Configuration, 'renderError' | 'features'>
}

/**
 * Turns every error below it into a page, and an empty 404 as well. Programs get JSON: at endpoints
 * for programs, and if they accept JSON rather than HTML. The page has its own words and an
 * identifier, never the error's message.
 */
export function errorPages({ views, audience, log }: ErrorPageOptions): Middleware {
  return async (ctx, next) => {
    try {
      await next()
      // An empty body has no type, because clients would try to parse it (RFC 7009, section 2.2).
      if (ctx.body === '') ctx.remove('Content-Type')
      if (ctx.status !== 404 || ctx.body != null) return
      showError(ctx, { status: 404 })
    } catch (error) {
      const status = statusOf(error)
      if (status < 500 || isGone(ctx, error)) return showError(ctx, { status })
      const errorId = createErrorId()
      // No stack, because one per request would fill the disk while a store is unavailable.
      const reason = error instanceof StoreUnavailable ? { reason: error.message } : { err: error }
      log.error(
        { ...reason, errorId, method: ctx.method, path: loggedPath(ctx.path) },
        'request failed',
      )
      showError(ctx, { status, errorId })
    } finally {
      // 503 means a store or this node's keys, which are unavailable for a while only.
      if (ctx.status === 503) ctx.set('Retry-After', RETRY_AFTER)
    }
  }

  function showError(ctx: Context, { status, errorId }: { status: number; errorId?: string }) {
    ctx.status = status
    if (audience.isForPrograms(ctx.path) || ctx.accepts('html', 'json') === 'json') {
      const error = CODES[status] ?? (status < 500 ? 'invalid_request' : 'server_error')
      const description = DESCRIPTIONS[status]
      ctx.body = {
        error,
        ...(description ? { error_description: description } : {}),
        ...(errorId ? { error_id: errorId } : {}),
      }
      return
    }
    const words = BY_STATUS[status] ?? (status < 500 ? BY_STATUS[400] : undefined) ?? OUR_FAULT
    const mayRetry = status === 503 && ctx.method === 'GET'
    views.render(ctx, 'error', { ...words, errorId, mayRetry })
  }
}

function statusOf(error: unknown): number {
  if (error instanceof StoreUnavailable) return 503
  if (typeof error !== 'object' || error === null || !('status' in error)) return 500
  const { status } = error
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500
}
