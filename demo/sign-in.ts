import type Router from '@koa/router'
import * as openid from 'openid-client'
import type { Pages } from './pages.ts'
import { readCookie, type Sessions, writeCookie } from './sessions.ts'
import { API, type Tokens } from './tokens.ts'
import { createVault } from './vault.ts'
import type { Verifier } from './verifier.ts'

/** The way to Keyturn, and back with a code. */

export interface SignInOptions {
  /** Origin of the application. */
  readonly url: string
  readonly client: openid.Configuration
  readonly sessions: Sessions
  readonly tokens: Tokens
  readonly verifier: Verifier
  readonly pages: Pages
}

/** State of a sign-in while the person is at Keyturn. */
interface PendingSignIn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

const SIGN_IN_COOKIE = 'demo.sign-in'

/** Claims requested in the ID token, so that the page can show them without another request. */
const CLAIMS = { id_token: { name: null, preferred_username: null, email: null } }

export function addSignIn(router: Router, options: SignInOptions): void {
  const { url, client, sessions, tokens, verifier, pages } = options
  const signIns = createVault<PendingSignIn>(600)

  router.get('/sign-in', async (ctx) => {
    const pending: PendingSignIn = {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      codeVerifier: openid.randomPKCECodeVerifier(),
    }
    writeCookie(ctx, SIGN_IN_COOKIE, signIns.put(pending))
    // Asks for a refresh token, which needs the person's consent each time, unless it has one.
    const offline = tokens.canRefresh(sessions.lastSubject(ctx) ?? '')
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
    const answer = await openid.authorizationCodeGrant(
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
    const { idToken, accessToken } = tokens.collect(answer, 'sign-in')
    const claims = answer.claims()
    if (!claims || !idToken) throw new TypeError('there is no ID token')
    sessions.begin(ctx, {
      subject: claims.sub,
      name: text(claims.name),
      username: text(claims.preferred_username),
      email: text(claims.email),
      idToken,
      accessToken,
    })
    await verifier.run()
    ctx.redirect('/')
  })
}

function text(claim: unknown): string {
  return typeof claim === 'string' ? claim : ''
}
