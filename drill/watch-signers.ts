import type { Complain } from './complaints.ts'
import type { Issue } from './issues.ts'
import { LIMITS } from './settings.ts'
import type { Revocation } from './watch-jwks.ts'

/**
 * Checks the dates of tokens, and that no node signs with an old key for longer than nodes may
 * disagree.
 */
export interface SignerWatch {
  /** Keys that have signed, by ring. */
  readonly signed: ReadonlyMap<string, ReadonlySet<string>>
  issued(issue: Issue): void
}

interface Signer {
  readonly kid: string
  firstIssuedAt: number
}

export interface SignerWatchOptions {
  readonly revocations: ReadonlyMap<string, Revocation>
  readonly complain: Complain
  /** Called with what is seen for the first time. */
  readonly note: (line: string) => void
}

const SKEW = LIMITS.clockSkew * 1000

export function watchSigners({ revocations, complain, note }: SignerWatchOptions): SignerWatch {
  const signed = new Map<string, Set<string>>()
  const signers = new Map<string, Signer[]>()

  function checkDate({ iat, issuedAt, askedAt, node }: Issue): void {
    // `iat` is a whole second, rounded down.
    if (iat * 1000 <= issuedAt + SKEW && iat * 1000 >= askedAt - SKEW - 1000) return
    const off = (iat - issuedAt / 1000).toFixed(1)
    complain('wrong date', node, `${node} issued a token that is dated ${off} s off`)
  }

  function checkSigner({ kid, node, askedAt, issuedAt }: Issue, ring: string): void {
    const list = signers.get(ring) ?? []
    signers.set(ring, list)
    const signer = list.find((candidate) => candidate.kid === kid)
    if (!signer) {
      note(`${node} signs with ${kid} in ${ring}`)
      list.push({ kid, firstIssuedAt: issuedAt })
      return
    }
    // A key that began to sign after this one has been signing for longer than nodes may differ.
    const most = LIMITS.maxRingAge * 1000 + 2 * SKEW
    const later = list.slice(list.indexOf(signer) + 1)
    const overdue = later.find(
      (next) => askedAt - next.firstIssuedAt > most && !revocations.has(next.kid),
    )
    if (!overdue) return
    const seconds = ((askedAt - overdue.firstIssuedAt) / 1000).toFixed(1)
    complain(
      'two signers',
      `${node} ${kid}`,
      `${node} signs with ${kid} ${seconds} s after ${overdue.kid} began to sign in ${ring}`,
    )
  }

  return {
    signed,
    issued: (issue) => {
      const ring = `sig/${issue.algorithm}`
      signed.set(ring, (signed.get(ring) ?? new Set()).add(issue.kid))
      checkDate(issue)
      checkSigner(issue, ring)
    },
  }
}
