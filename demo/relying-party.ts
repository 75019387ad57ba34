import { randomBytes } from 'node:crypto'
import type { RequestListener } from 'node:http'
import Router from '@koa/router'
import Koa, { type Middleware } from 'koa'
import * as openid from 'openid-client'
import type { Logger } from 'pino'
import { systemClock } from '../src/clock.ts'
import { refuseForeignForms } from '../src/http/forms.ts'
import { createPages, goHome, pageHeaders, staticFiles } from './pages.ts'
import { showProblems } from './problems.ts'
import type { RingPicture } from './ring-picture.ts'
import { createSessions } from './sessions.ts'
import { addSignIn } from './sign-in.ts'
import { addSignOut } from './sign-out.ts'
import { API, createTokens } from './tokens.ts'
import { createVerifier } from './verifier.ts'

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

/** Seconds between verifications of all tokens, and between tokens that the demo gets by itself. */
const VERIFY_INTERVAL = 3
const COLLECT_INTERVAL = 15

export async function createRelyingParty(options: RelyingPartyOptions): Promise<RelyingParty> {
  const { url, issuer, clientId, clientSecret, log } = options
  const client = await openid.discovery(new URL(issuer), clientId, clientSecret, undefined, {
    // On localhost there is no TLS.
    execute: [openid.allowInsecureRequests],
  })
  const { jwks_uri: jwksUri = '' } = client.serverMetadata()
  const verifier = createVerifier({ issuer, jwksUri, clientId, api: API })
  const pages = createPages()
  const sessions = createSessions()
  const tokens = createTokens(client, verifier)
  const ownForms = refuseForeignForms({ issuer: url, log })

  const router = new Router()
  router.get('/', (ctx) => {
    const session = sessions.of(ctx)
    pages.home(ctx, {
      session,
      canRefresh: session !== undefined && tokens.canRefresh(session.subject),
      isStill: ctx.query.still !== undefined,
      rings: options.rings(),
      verifier,
      now: systemClock.now(),
    })
  })
  addSignIn(router, { url, client, sessions, tokens, verifier, pages })
  router.post('/token', ownForms, async (ctx) => {
    await tokens.ofApplication()
    await verifier.run()
    goHome(ctx)
  })
  router.post('/refresh', ownForms, async (ctx) => {
    const session = sessions.of(ctx)
    const refreshed = session && (await tokens.refresh(session.subject))
    if (!refreshed) return goHome(ctx)
    const { idToken = session.idToken, accessToken } = refreshed
    sessions.replace(ctx, { ...session, idToken, accessToken })
    await verifier.run()
    goHome(ctx)
  })
  addSignOut(router, { url, client, sessions, verifier, ownForms, log })

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
        every(COLLECT_INTERVAL, tokens.ofApplication),
        every(VERIFY_INTERVAL, () => verifier.run()),
      )
    },
    stop: async () => {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}

function plainRoutes(router: Router): Middleware {
  const routes = router.routes()
  // The router itself adds `params` and `router`, which its type expects, to the context.
  return (ctx, next) => routes(ctx as Parameters<typeof routes>[0], next)
}
