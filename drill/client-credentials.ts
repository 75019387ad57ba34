import { SECRET } from '../lab/server.ts'
import { AVOID_HEADER, NODE_HEADER } from './balancer.ts'
import type { Issues } from './issues.ts'
import type { Journal } from './journal.ts'
import { LIMITS, type RESOURCES, TOKEN_LIFETIME } from './settings.ts'

const BASIC = `Basic ${Buffer.from(`machine:${SECRET}`).toString('base64')}`

export interface ClientCredentialsOptions {
  readonly issuer: string
  readonly journal: Journal
  readonly issues: Issues
}

/** Gets tokens of a client for an API; an opaque one is introspected at another node at once. */
export function createClientCredentials({ issuer, journal, issues }: ClientCredentialsOptions) {
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
    if ('algorithm' in resource) {
      issues.keep(token, { kind: 'access token', node, askedAt })
      return
    }
    issues.count('access token, opaque')
    await introspect(token, node, askedAt)
  }
  /** Introspects a token at another node than the one that issued it. */
  const introspect = async (token: string, node: string, askedAt: number): Promise<void> => {
    const answer = await post('/token/introspection', { token }, { [AVOID_HEADER]: node })
    const text = await answer.text()
    if (answer.status >= 500) return
    issues.count('introspections')
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
  return clientCredentials
}
