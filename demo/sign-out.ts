import type Router from '@koa/router'
import type { Middleware } from 'koa'
import * as openid from 'openid-client'
import type { Logger } from 'pino'
import { field, readForm } from '../src/http/forms.ts'
import { goHome } from './pages.ts'
import type { Sessions } from './sessions.ts'
import type { Verifier } from './verifier.ts'

/** Ends of sessions: by the person here, or by Keyturn. */

export interface SignOutOptions {
  /** Origin of the application. */
  readonly url: string
  readonly client: openid.Configuration
  readonly sessions: Sessions
  readonly verifier: Verifier
  /** Refuses forms of other sites. */
  readonly ownForms: Middleware
  readonly log: Pick<Logger, 'info' | 'warn'>
}

export function addSignOut(router: Router, options: SignOutOptions): void {
  const { url, client, sessions, verifier, ownForms, log } = options

  router.post('/sign-out', ownForms, (ctx) => {
    const session = sessions.end(ctx)
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
      sessions.endAllOf(await verifier.readLogoutToken(field(ctx, 'logout_token')))
      log.info({}, 'demo: signed out by back-channel logout')
      ctx.status = 200
      ctx.body = ''
    } catch (error) {
      log.warn({ err: error }, 'demo: a logout token was refused')
      ctx.status = 400
      ctx.body = { error: 'invalid_request' }
    }
  })
}
