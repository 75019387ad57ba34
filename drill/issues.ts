import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { IssuedToken } from './fleet.ts'
import { count } from './journal.ts'

/** Tokens that operations have got, and numbers of what else they did. */
export interface Issues {
  /** Numbers so far, by kind. */
  readonly issued: Map<string, number>
  /** Passes a token on to whoever verifies it, and counts it. */
  keep(token: string, from: Origin): void
  /** Counts what is no token to verify. */
  count(kind: string): void
}

interface Origin {
  readonly kind: IssuedToken['kind']
  readonly node: string
  /** Instant of the request, in milliseconds since the epoch. */
  readonly askedAt: number
}

export interface Issue extends IssuedToken {
  readonly node: string
  /** Instants of request and answer, in milliseconds since the epoch. */
  readonly askedAt: number
  readonly issuedAt: number
}

export function createIssues(onIssue: (issue: Issue) => void): Issues {
  const issued = new Map<string, number>()
  return {
    issued,
    keep: (token, { kind, node, askedAt }) => {
      const { kid = '', alg: algorithm = '' } = decodeProtectedHeader(token)
      const { iat = 0, exp = 0 } = decodeJwt(token)
      count(issued, `${kind} ${algorithm}`)
      onIssue({ token, kid, algorithm, kind, iat, exp, node, askedAt, issuedAt: Date.now() })
    },
    count: (kind) => count(issued, kind),
  }
}
