import { randomBytes } from 'node:crypto'
import type { RequestListener } from 'node:http'
import Router from '@koa/router'
import Koa, { type Context, type Middleware } from 'koa'
import * as openid from 'openid-client'
import type { Logger } from 'pino'
import { systemClock } from '../src/clock.ts'
import { field, readForm, refuseForeignForms } from '../src/http/forms.ts'
import { createPages, pageHeaders, staticFiles } from './pages.ts'
import type { RingPicture } from './ring-picture.ts'
import { createVault } from './vault.ts'
import { type CollectedToken, createVerifier } from './verifier.ts'

/**
 * An ordinary web application that signs people in with Keyturn and calls an API: openid-client for
 * the protocol, jose to verify. Unlike others it shows everything.
 */
export interface RelyingParty {
  readonly handler: RequestListener
  /** Verifies every token every few seconds from now on. */
  start(): void
  stop(): Promise<void>
}

export interface RelyingPartyOptions {
  /** Origin of the application. */
  readonly url: string
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly rings: () => readonly RingPicture[]
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
}

/** Session of a signed-in person. */
export interface Session {
  readonly subject: string
  readonly name: string
  readonly username: string
  readonly email: string
  readonly idToken: CollectedToken
  readonly accessToken: CollectedToken
}

/** State of a sign-in while the person is at Keyturn. */
interface PendingSignIn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

const API = 'https://api.demo.example'
const SESSION_COOKIE = 'demo.session'
const SIGN_IN_COOKIE = 'demo.sign-in'
/** Cookie with the person who used this browser last; it outlives the session. */
const PERSON_COOKIE = 'demo.person'
const DENIED = 'You did not allow it, so you are not signed in.'
/** Seconds between verifications of all tokens, and between tokens that the demo gets by itself. */
const VERIFY_INTERVAL = 3
const COLLECT_INTERVAL = 15

/** Claims requested in the ID token, so that the page can show them without another request. */
const CLAIMS = { id_token: { name: null, preferred_username: null, email: null } }

export async function createRelyingParty(options: RelyingPartyOptions): Promise<RelyingParty> {
  const { url, issuer, clientId, clientSecret, log } = options
  const client = await openid.discovery(new URL(issuer), clientId, clientSecret, undefined, {
    // On localhost there is no TLS.
    execute: [openid.allowInsecureRequests],
  })
  const { jwks_uri: jwksUri = '' } = client.serverMetadata()
  const verifier = createVerifier({ issuer, jwksUri, clientId, api: API })
  const pages = createPages()
  const sessions = createVault<Session>(3600)
  const signIns = createVault<PendingSignIn>(600)
  /** Refresh tokens by subject, because they are valid without a session. */
  const refreshTokens = new Map<string, string>()

  const router = new Router()

  router.get('/', (ctx) => {
    const session = sessions.get(readCookie(ctx, SESSION_COOKIE))
    pages.home(ctx, {
      session,
      canRefresh: session !== undefined && refreshTokens.has(session.subject),
      isStill: ctx.query.still !== undefined,
      rings: options.rings(),
      verifier,
      now: systemClock.now(),
    })
  })

  router.get('/sign-in', async (ctx) => {
    const pending: PendingSignIn = {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      codeVerifier: openid.randomPKCECodeVerifier(),
    }
    writeCookie(ctx, SIGN_IN_COOKIE, signIns.put(pending))
    // Asks for a refresh token, which needs the person's consent each time, unless it has one.
    const person = readCookie(ctx, PERSON_COOKIE) ?? ''
    const offline = refreshTokens.has(person)
      ? { scope: 'openid read write' }
      : { scope: 'openid offline_access read write', prompt: 'consent' }
    const authorizationUrl = openid.buildAuthorizationUrl(client, {
      ...offline,
      redirect_uri: `${url}/callback`,
      resource: API,
      claims: JSON.stringify(CLAIMS),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(pending.codeVerifier),
      code_challenge_method: 'S256',
    })
    ctx.redirect(authorizationUrl.href)
  })

  router.get('/callback', async (ctx) => {
    const pendingName = readCookie(ctx, SIGN_IN_COOKIE)
    const pending = signIns.get(pendingName)
    signIns.remove(pendingName)
    writeCookie(ctx, SIGN_IN_COOKIE, undefined)
    if (!pending) {
      const message = 'This sign-in was not begun here, or it took too long.'
      return pages.problem(ctx, { message, status: 400 })
    }
    const tokens = await openid.authorizationCodeGrant(
      client,
      new URL(ctx.url, url),
      {
        expectedState: pending.state,
        expectedNonce: pending.nonce,
        pkceCodeVerifier: pending.codeVerifier,
        idTokenExpected: true,
      },
      { resource: API },
    )
    const collected = collect(tokens, 'sign-in')
    const claims = tokens.claims()
    if (!claims || !collected.idToken) throw new TypeError('there is no ID token')
    sessions.remove(readCookie(ctx, SESSION_COOKIE))
    const session: Session = {
      subject: claims.sub,
      name: text(claims.name),
      username: text(claims.preferred_username),
      email: text(claims.email),
      idToken: collected.idToken,
      accessToken: collected.accessToken,
    }
    writeCookie(ctx, SESSION_COOKIE, sessions.put(session))
    writeCookie(ctx, PERSON_COOKIE, session.subject)
    await verifier.run()
    ctx.redirect('/')
  })

  const ownForms = refuseForeignForms({ issuer: url, log })

  /** An access token for the application itself: client credentials. */
  router.post('/token', ownForms, async (ctx) => {
    await collectClientCredentials('client credentials')
    await verifier.run()
    goHome(ctx)
  })

  router.post('/refresh', ownForms, async (ctx) => {
    const name = readCookie(ctx, SESSION_COOKIE) ?? ''
    const session = sessions.get(name)
    const refreshToken = session && refreshTokens.get(session.subject)
    if (!session || !refreshToken) return goHome(ctx)
    // Each refresh token is used once. If the answer is lost, the next sign-in brings another.
    refreshTokens.delete(session.subject)
    const tokens = await openid.refreshTokenGrant(client, refreshToken, { resource: API })
    const { idToken = session.idToken, accessToken } = collect(tokens, 'refresh')
    sessions.replace(name, { ...session, idToken, accessToken })
    await verifier.run()
    goHome(ctx)
  })

  router.post('/sign-out', ownForms, (ctx) => {
    const name = readCookie(ctx, SESSION_COOKIE)
    const session = sessions.get(name)
    sessions.remove(name)
    writeCookie(ctx, SESSION_COOKIE, undefined)
    if (!session) return goHome(ctx)
    const endSessionUrl = openid.buildEndSessionUrl(client, {
      id_token_hint: session.idToken.jwt,
      post_logout_redirect_uri: `${url}/`,
    })
    ctx.status = 303
    ctx.redirect(endSessionUrl.href)
  })

  // OpenID Connect Back-Channel Logout 1.0, section 2.5 to 2.8: Keyturn itself calls this.
  router.post('/backchannel-logout', readForm(), async (ctx) => {
    ctx.set('Cache-Control', 'no-store')
    try {
      const subject = await verifier.readLogoutToken(field(ctx, 'logout_token'))
      sessions.removeWhere((session) => session.subject === subject)
      log.info({}, 'demo: signed out by back-channel logout')
      ctx.status = 200
      ctx.body = ''
    } catch (error) {
      log.warn({ err: error }, 'demo: a logout token was refused')
      ctx.status = 400
      ctx.body = { error: 'invalid_request' }
    }
  })

  function collect(tokens: openid.TokenEndpointResponse, origin: string) {
    const { access_token: accessToken, id_token: idToken, refresh_token: refreshToken } = tokens
    const collected = {
      accessToken: verifier.collect({ kind: 'access token', origin, jwt: accessToken }),
      idToken: idToken ? verifier.collect({ kind: 'ID token', origin, jwt: idToken }) : undefined,
    }
    const subject = collected.accessToken.payload.sub
    if (subject && refreshToken) refreshTokens.set(subject, refreshToken)
    return collected
  }

  async function collectClientCredentials(origin: string): Promise<void> {
    const parameters = { resource: API, scope: 'read' }
    collect(await openid.clientCredentialsGrant(client, parameters), origin)
  }

  const stopping = new AbortController()
  const loops: Promise<void>[] = []
  /**
   * Repeats work until stopped; failures are ignored, because Keyturn may be unavailable for a
   * while.
   */
  async function every(seconds: number, work: () => Promise<void>): Promise<void> {
    while (!stopping.signal.aborted) {
      await work().catch((error: unknown) => log.warn({ err: error }, 'demo: will try again'))
      await systemClock.sleep(seconds, stopping.signal)
    }
  }

  const app = new Koa({ keys: [randomBytes(32).toString('base64url')] })
  app.silent = true
  app
    .use(pageHeaders(issuer))
    .use(staticFiles())
    .use(showProblems(pages, log))
    .use(plainRoutes(router))
    .use((ctx) => ctx.throw(404))

  return {
    handler: app.callback(),
    start: () => {
      loops.push(
        every(COLLECT_INTERVAL, () => collectClientCredentials('client credentials')),
        every(VERIFY_INTERVAL, () => verifier.run()),
      )
    },
    stop: async () => {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}

/** Shows errors of openid-client and Keyturn on a page. */
function showProblems(
  pages: ReturnType<typeof createPages>,
  log: RelyingPartyOptions['log'],
): Middleware {
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

function plainRoutes(router: Router): Middleware {
  const routes = router.routes()
  // The router itself adds `params` and `router`, which its type expects, to the context.
  return (ctx, next) => routes(ctx as Parameters<typeof routes>[0], next)
}

function goHome(ctx: Context): void {
  ctx.status = 303
  ctx.redirect('/')
}

function readCookie(ctx: Context, name: string): string | undefined {
  return ctx.cookies.get(name, { signed: true }) || undefined
}

/** Writes a cookie with SameSite=Lax, because the browser returns from Keyturn by a link. */
function writeCookie(ctx: Context, name: string, value: string | undefined): void {
  ctx.cookies.set(name, value, { signed: true, httpOnly: true, sameSite: 'lax' })
}

function text(claim: unknown): string {
  return typeof claim === 'string' ? claim : ''
}
