import Koa, { type Middleware } from 'koa'
import * as openid from 'openid-client'
import type { Logger } from 'pino'
import type { Pages } from './pages.ts'

const DENIED = 'You did not allow it, so you are not signed in.'

/** Shows errors of openid-client and Keyturn on a page. */
export function showProblems(pages: Pages, log: Pick<Logger, 'error'>): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      const status = error instanceof Koa.HttpError ? error.status : 500
      if (error instanceof openid.AuthorizationResponseError) {
        const message = error.error === 'access_denied' ? DENIED : keyturnSaid(error)
        return pages.problem(ctx, { message, status: 400 })
      }
      if (error instanceof openid.ResponseBodyError) {
        return pages.problem(ctx, { message: keyturnSaid(error), status: 502 })
      }
      if (status >= 500) log.error({ err: error }, 'demo: request failed')
      const message = status === 404 ? 'There is nothing at this address.' : 'Please try again.'
      pages.problem(ctx, { message, status })
    }
  }
}

function keyturnSaid(answer: { error: string; error_description?: string | undefined }): string {
  return `Keyturn said: ${answer.error_description ?? answer.error}`
}
