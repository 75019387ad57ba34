import { setTimeout as delay } from 'node:timers/promises'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../lab/relying-party.ts'
import { PERSON, SECRET } from '../lab/server.ts'
import { createUserAgent, signIn } from '../lab/user-agent.ts'
import { AVOID_HEADER, NODE_HEADER } from './balancer.ts'
import type { IssuedToken } from './fleet.ts'
import { count, type Journal } from './journal.ts'
import type { Random } from './random.ts'
import { LIMITS, RESOURCES, TOKEN_LIFETIME, WEB_CLIENTS } from './settings.ts'

/** Operations of clients through the balancer during the whole drill. */
export interface Load {
  /** Starts operations at the rate, whether or not earlier ones have ended. */
  start(): void
  /** Starts no more operations; resolves when the begun ones are over. */
  stop(): Promise<void>
  /** Tokens so far, by kind. */
  readonly issued: Map<string, number>
}

export interface Issue extends IssuedToken {
  readonly node: string
  /** Instants of request and answer, in milliseconds since the epoch. */
  readonly askedAt: number
  readonly issuedAt: number
}

export interface LoadOptions {
  readonly issuer: string
  /** Operations a second; one gives one token, a sign-in three. */
  readonly rate: number
  readonly random: Random
  readonly journal: Journal
  readonly onIssue: (issue: Issue) => void
}

/** Operations at once; beyond that, the rate falls. */
const AT_ONCE = 150
/** Number of each operation among 100. */
const SHARES = { RS256: 38, ES256: 28, Ed25519: 22, opaque: 9, 'sign-in': 3 } as const
type Operation = keyof typeof SHARES

/** Number of repetitions after a 503, and milliseconds before each. */
const REPEATS = { most: 20, pause: 500 }

const BASIC = `Basic ${Buffer.from(`machine:${SECRET}`).toString('base64')}`

export function createLoad({ issuer, rate, random, journal, onIssue }: LoadOptions): Load {
  const issued = new Map<string, number>()
  const running = new Set<Promise<void>>()
  const bag = Object.entries(SHARES).flatMap(([name, share]) =>
    // The keys of SHARES are operations.
    Array.from({ length: share }, () => name as Operation),
  )
  let timer: NodeJS.Timeout | undefined

  const post = (path: string, fields: Record<string, string>, headers = {}) =>
    fetch(`${issuer}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: BASIC,
        ...headers,
      },
      body: new URLSearchParams(fields),
    })
  const keep = (token: string, kind: IssuedToken['kind'], node: string, askedAt: number) => {
    const { kid = '', alg: algorithm = '' } = decodeProtectedHeader(token)
    const { iat = 0, exp = 0 } = decodeJwt(token)
    count(issued, `${kind} ${algorithm}`)
    onIssue({ token, kid, algorithm, kind, iat, exp, node, askedAt, issuedAt: Date.now() })
  }

  const clientCredentials = async (resource: (typeof RESOURCES)[number]): Promise<void> => {
    const askedAt = Date.now()
    const answer = await post('/token', {
      grant_type: 'client_credentials',
      resource: resource.identifier,
      scope: 'read',
    })
    const text = await answer.text()
    // The balancer has noted the failure in the journal.
    if (answer.status >= 500) return
    if (answer.status !== 200) {
      journal.violation('refused request', `client credentials: ${answer.status} ${text}`)
      return
    }
    const { access_token: token } = JSON.parse(text)
    const node = answer.headers.get(NODE_HEADER) ?? ''
    if ('algorithm' in resource) return keep(token, 'access token', node, askedAt)
    count(issued, 'access token, opaque')
    await introspect(token, node, askedAt)
  }
  /** Introspects a token at another node than the one that issued it. */
  const introspect = async (token: string, node: string, askedAt: number): Promise<void> => {
    const answer = await post('/token/introspection', { token }, { [AVOID_HEADER]: node })
    const text = await answer.text()
    if (answer.status >= 500) return
    count(issued, 'introspections')
    // A node's clock may be fast while the other node's is slow.
    const isOver = Date.now() - askedAt > (TOKEN_LIFETIME - 2 * LIMITS.clockSkew) * 1000
    if (answer.status === 200 && (JSON.parse(text).active || isOver)) return
    const at = answer.headers.get(NODE_HEADER) ?? ''
    const why = `introspection at ${at} of a token of ${node}: ${answer.status} ${text}`
    const span = { from: askedAt, to: Date.now() }
    // A node whose clock is set during introspection may consider the token expired or not yet
    // valid.
    if (journal.excuseFor(span, at))
      journal.lost({ ...span, request: 'introspection', node: at, why })
    else journal.violation('refused request', why)
  }
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
      keep(tokens.id_token ?? '', 'ID token', node, askedAt)
      for (let refresh = 0; refresh < 2; refresh += 1) {
        const { refresh_token: refreshToken = '' } = tokens
        tokens = await ask(() => client.refreshTokenGrant(rp, refreshToken))
        keep(tokens.id_token ?? '', 'refreshed ID token', node, askedAt)
      }
      count(issued, 'sign-ins')
    } catch (error) {
      const why = reasonOf(error)
      // A lost step, which is in the journal, ends the whole sign-in.
      if (journal.wasLost({ from, to: Date.now() })) count(issued, 'sign-ins broken off')
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
        if (repeats > 0) count(issued, 'grants asked for again after 503')
        return answer
      } catch (error) {
        if (!isUnavailable(error) || repeats === REPEATS.most) {
          if (repeats > 0) count(issued, 'grants lost after 503')
          throw error
        }
        await delay(REPEATS.pause)
      }
    }
  }
  const operate = async (): Promise<void> => {
    const name = random.pick(bag)
    if (name === 'sign-in') return signInAndRefresh()
    const resource = RESOURCES.find(({ identifier }) => identifier.endsWith(name.toLowerCase()))
    if (resource) return clientCredentials(resource)
  }
  const launch = () => {
    if (running.size >= AT_ONCE) return
    const operation = operate()
      .catch((error) => journal.violation('drill', `an operation failed: ${reasonOf(error)}`))
      .finally(() => running.delete(operation))
    running.add(operation)
  }
  return {
    issued,
    start: () => {
      timer ??= setInterval(launch, 1000 / rate)
    },
    stop: async () => {
      clearInterval(timer)
      await Promise.all(running)
    },
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Response && error.cause.status === 503
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : ` (${JSON.stringify(error.cause)})`
  return `${error.message}${cause}`
}
