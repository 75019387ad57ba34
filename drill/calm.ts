import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../lab/relying-party.ts'
import { PERSON, SECRET } from '../lab/server.ts'
import { createUserAgent, signIn } from '../lab/user-agent.ts'
import { AVOID_HEADER, NODE_HEADER } from './balancer.ts'
import { count, type Journal } from './journal.ts'
import type { Load } from './load.ts'
import { WEB_CLIENTS } from './settings.ts'

/** Refreshes after each sign-in; each new access token is introspected. */
const REFRESHES = 4

export interface TurnsOptions {
  /** Number of sign-ins. */
  readonly count: number
  readonly issuer: string
  readonly journal: Journal
  readonly load: Pick<Load, 'issued'>
  readonly halt: AbortSignal
}

/**
 * Signs in, refreshes and introspects, one request after another, without faults. The balancer
 * sends each request to another node than the one before, so each node must know what the previous
 * one confirmed.
 */
export async function takeTurns(options: TurnsOptions): Promise<void> {
  const { issuer, journal, load, halt } = options
  for (let turn = 0; turn < options.count && !halt.aborted; turn += 1) {
    const { client_id: clientId } = WEB_CLIENTS[turn % WEB_CLIENTS.length] ?? { client_id: '' }
    const refuse = (what: string, error: unknown) => {
      const why = error instanceof Error ? `${error.message} ${JSON.stringify(error.cause)}` : error
      count(load.issued, `in turn: ${what} refused`)
      journal.violation('refused request', `${what} of ${clientId}, nodes in turn: ${why}`)
    }
    let step = 'sign-in'
    try {
      const rp = await discoverAs(issuer, clientId)
      let node = ''
      rp[client.customFetch] = async (url, given) => {
        // The library's type of the body is wider than the values that it uses.
        const init = given as RequestInit
        const headers = new Headers(init.headers)
        headers.set(AVOID_HEADER, node)
        const answer = await fetch(url, { ...init, headers })
        node = answer.headers.get(NODE_HEADER) ?? node
        return answer
      }
      const scope = 'openid offline_access'
      const { url, redeem } = await authorizationRequest(rp, { scope, prompt: 'consent' })
      const { callback } = await signIn(createUserAgent(), url, PERSON)
      let tokens = await redeem(callback)
      count(load.issued, 'in turn: sign-ins')
      for (let refresh = 0; refresh < REFRESHES; refresh += 1) {
        step = 'refresh'
        tokens = await client.refreshTokenGrant(rp, tokens.refresh_token ?? '')
        count(load.issued, 'in turn: refreshes')
        step = 'introspection'
        const answer = await fetch(`${issuer}/token/introspection`, {
          method: 'POST',
          headers: {
            authorization: `Basic ${Buffer.from(`${clientId}:${SECRET}`).toString('base64')}`,
            [AVOID_HEADER]: node,
          },
          body: new URLSearchParams({ token: tokens.access_token }),
        })
        node = answer.headers.get(NODE_HEADER) ?? node
        const text = await answer.text()
        if (answer.status !== 200 || !JSON.parse(text).active) throw new Error(text)
        count(load.issued, 'in turn: introspections')
      }
    } catch (error) {
      refuse(step, error)
    }
  }
}
