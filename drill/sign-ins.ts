import { setTimeout as delay } from 'node:timers/promises'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../lab/relying-party.ts'
import { PERSON } from '../lab/server.ts'
import { createUserAgent, signIn } from '../lab/user-agent.ts'
import { NODE_HEADER } from './balancer.ts'
import type { Issues } from './issues.ts'
import { type Journal, reasonOf } from './journal.ts'
import type { Random } from './random.ts'
import { WEB_CLIENTS } from './settings.ts'

/** Number of repetitions after a 503, and milliseconds before each. */
const REPEATS = { most: 20, pause: 500 }

export interface SignInOptions {
  readonly issuer: string
  readonly random: Random
  readonly journal: Journal
  readonly issues: Issues
}

/** Signs a person in at one of the web clients, which then refreshes its tokens twice. */
export function createSignIns({ issuer, random, journal, issues }: SignInOptions) {
  const signInAndRefresh = async (): Promise<void> => {
    const from = Date.now()
    const { client_id: clientId } = random.pick(WEB_CLIENTS)
    try {
      const rp = await discoverAs(issuer, clientId)
      let node = ''
      rp[client.customFetch] = async (url, options) => {
        // The library's type of the body is wider than the values that it uses.
        const answer = await fetch(url, options as RequestInit)
        node = answer.headers.get(NODE_HEADER) ?? ''
        return answer
      }
      const nonce = client.randomNonce()
      const { url, redeem } = await authorizationRequest(rp, {
        scope: 'openid offline_access',
        prompt: 'consent',
        nonce,
      })
      const { callback } = await signIn(createUserAgent(), url, PERSON)
      let askedAt = 0
      const ask = (grant: () => ReturnType<typeof redeem>) =>
        askAgain(() => {
          askedAt = Date.now()
          return grant()
        })
      let tokens = await ask(() => redeem(callback, { expectedNonce: nonce }))
      issues.keep(tokens.id_token ?? '', { kind: 'ID token', node, askedAt })
      for (let refresh = 0; refresh < 2; refresh += 1) {
        const { refresh_token: refreshToken = '' } = tokens
        tokens = await ask(() => client.refreshTokenGrant(rp, refreshToken))
        issues.keep(tokens.id_token ?? '', { kind: 'refreshed ID token', node, askedAt })
      }
      issues.count('sign-ins')
    } catch (error) {
      const why = reasonOf(error)
      // A lost step, which is in the journal, ends the whole sign-in.
      if (journal.wasLost({ from, to: Date.now() })) issues.count('sign-ins broken off')
      else journal.violation('refused request', `sign-in of ${clientId}: ${why}`)
    }
  }
  /**
   * Repeats a request with the same code or refresh token, because its consumption is undone after
   * a failure.
   */
  const askAgain = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (let repeats = 0; ; repeats += 1) {
      try {
        const answer = await ask()
        if (repeats > 0) issues.count('grants asked for again after 503')
        return answer
      } catch (error) {
        if (!isUnavailable(error) || repeats === REPEATS.most) {
          if (repeats > 0) issues.count('grants lost after 503')
          throw error
        }
        await delay(REPEATS.pause)
      }
    }
  }
  return signInAndRefresh
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Response && error.cause.status === 503
}
