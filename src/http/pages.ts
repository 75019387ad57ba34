import { randomBytes } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import type Provider from 'oidc-provider'
import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { StoreUnavailable } from '../errors.ts'
import { TooManyGuesses } from '../oidc/metered.ts'
import { Outage } from '../oidc/outage.ts'
import type { Log } from '../seldom-log.ts'
import { aboutClient, clientName, wayBack } from './about-client.ts'
import type { Audience } from './audience.ts'
import { isGone } from './gone.ts'
import type { Pages, Views } from './views.ts'
import { inWords } from './waiting.ts'

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

const START_AGAIN: Words = {
  title: 'Please start again',
  message: 'Open the address that your device shows once more and enter its code there.',
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

/** Seconds for `Retry-After` while this node or a store is unavailable. */
export const RETRY_AFTER = '5'

/** Error codes for programs, by status; other statuses get a general code. */
const CODES: Readonly<Record<number, string>> = { 503: 'temporarily_unavailable' }

/**
 * Routes of oidc-provider that browsers use; all others answer JSON, whatever the client accepts.
 */
const FOR_PEOPLE = new Set([
  ...['authorization', 'resume', 'code_verification', 'device_resume'],
  ...['end_session', 'end_session_confirm', 'end_session_success'],
])

/** Device flow: what oidc-provider reports when it shows the code form again, by name. */
const DEVICE_PROBLEMS: Readonly<Record<string, string>> = {
  NoCodeError: 'Enter the code that your device shows.',
  NotFoundError: 'This code is not known. Compare it with the one on your device.',
  ExpiredError: 'This code has expired. Ask your device for a new one.',
  AlreadyUsedError: 'This code was used before. Ask your device for a new one.',
}

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
      rpInitiatedLogout: {
        logoutSource(ctx) {
          const { action, xsrf } = formOf(ctx, 'end_session_confirm')
          views.render(ctx, 'sign-out', {
            action,
            xsrf,
            clientName: ctx.oidc.client && clientName(ctx.oidc.client),
            leadsOutside: ctx.oidc.params?.post_logout_redirect_uri !== undefined,
          })
        },
        async postLogoutSuccessSource(ctx) {
          // The session is read, because anybody can open this address without having signed out.
          const session = await ctx.oidc.provider.Session.get(ctx)
          views.render(ctx, 'done', {
            ...describeSession(session, ctx.oidc.client),
            way: wayBack(ctx.oidc.client, issuer),
          })
        },
      },

      deviceFlow: {
        userCodeInputSource(ctx, _form, out, error) {
          if (error?.name === 'AbortedError') {
            return views.render(ctx, 'done', {
              title: 'The device was not connected',
              message: 'Nothing was shared with it. You can close this page.',
              outcome: 'stopped',
            })
          }
          const limited = error instanceof TooManyGuesses ? error.retryAfter : undefined
          if (error && !(error.name in DEVICE_PROBLEMS) && limited === undefined) {
            const isOurs = out?.error === 'server_error' || error instanceof Outage
            logProviderError(log, { errorId: createErrorId(), ctx, error, isOurs })
          }
          const { session } = ctx.oidc
          if (error && session && session.exp === undefined) {
            // No browser has this session's cookie, so no form could belong to it, and
            // oidc-provider cannot save the session any more.
            Object.assign(session, { touched: false })
            return views.render(ctx, 'error', { ...START_AGAIN, status: 400 })
          }
          const fallback = 'That did not work. Please enter the code again.'
          const wait = limited && `Too many wrong codes. Please try again ${inWords(limited)}.`
          const problem = error && (wait ?? DEVICE_PROBLEMS[error.name] ?? fallback)
          const { action, xsrf } = formOf(ctx, 'code_verification')
          views.render(ctx, 'device-code', {
            action,
            xsrf,
            userCode: error && 'userCode' in error ? String(error.userCode) : '',
            ...(problem ? { problem } : {}),
          })
        },
        userCodeConfirmSource(ctx, _form, client, _deviceInfo, userCode) {
          const { action, xsrf } = formOf(ctx, 'code_verification')
          views.render(ctx, 'device-confirm', {
            action,
            xsrf,
            userCode,
            client: aboutClient(client),
          })
        },
        successSource(ctx) {
          const name = ctx.oidc.client && clientName(ctx.oidc.client)
          views.render(ctx, 'done', {
            outcome: 'done',
            title: 'Your device is connected',
            message: name ? `Go back to it to use ${name}.` : 'Go back to it.',
          })
        },
      },
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
      log.error({ ...reason, errorId, method: ctx.method, path: ctx.path }, 'request failed')
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
      ctx.body = { error, ...(errorId ? { error_id: errorId } : {}) }
      return
    }
    const words = BY_STATUS[status] ?? (status < 500 ? BY_STATUS[400] : undefined) ?? OUR_FAULT
    const mayRetry = status === 503 && ctx.method === 'GET'
    views.render(ctx, 'error', { ...words, errorId, mayRetry })
  }
}

function formOf(ctx: KoaContextWithOIDC, route: 'end_session_confirm' | 'code_verification') {
  return { action: ctx.oidc.urlFor(route), xsrf: String(ctx.oidc.session?.state?.secret) }
}

/** Logs the route without the query, because a query can contain codes and hints. */
function logProviderError(
  log: Log,
  {
    errorId,
    ctx,
    error,
    isOurs,
  }: { errorId: string; ctx: KoaContextWithOIDC; error: Error; isOurs: boolean },
): void {
  const where = { errorId, route: ctx.oidc.route, client: ctx.oidc.client?.clientId }
  if (isOurs) {
    const reason = error instanceof Outage ? { reason: error.cause.message } : { err: error }
    log.error({ ...where, ...reason }, 'oidc request failed')
    return
  }
  const detail = 'error_detail' in error ? error.error_detail : undefined
  const description = 'error_description' in error ? error.error_description : undefined
  log.info({ ...where, error: error.message, description, detail }, 'oidc request refused')
}

function statusOf(error: unknown): number {
  if (error instanceof StoreUnavailable) return 503
  if (typeof error !== 'object' || error === null || !('status' in error)) return 500
  const { status } = error
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500
}

/** Random identifier, short enough to read out and long enough to find one line in a log. */
function createErrorId(): string {
  return randomBytes(6).toString('hex')
}

/** Words about the session after a person was asked whether to sign out, perhaps by a client. */
function describeSession(
  { accountId, authorizations = {} }: Awaited<ReturnType<Provider['Session']['get']>>,
  client: KoaContextWithOIDC['oidc']['client'],
): Pages['done'] {
  if (accountId === undefined) {
    const message = 'You can close this page.'
    return { title: 'You are signed out', message, outcome: 'done' }
  }
  if (client && !(client.clientId in authorizations)) {
    return {
      title: `You left ${clientName(client)}`,
      message: 'You are still signed in here for other applications. You can close this page.',
      outcome: 'done',
    }
  }
  return {
    title: 'You are still signed in',
    message: 'Nothing has changed. You can close this page.',
  }
}
