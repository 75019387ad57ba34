import { setTimeout as delay } from 'node:timers/promises'
import type { KeyStore } from '../src/ring/key-store.ts'
import { createComplaints } from './complaints.ts'
import type { Issue } from './issues.ts'
import type { Journal } from './journal.ts'
import type { Node } from './nodes.ts'
import { type Live, type Revocation, watchJwks } from './watch-jwks.ts'
import { watchSigners } from './watch-signers.ts'
import { watchStore } from './watch-store.ts'

/**
 * Checks from outside, all the time, what must hold at every instant: every node's JWKS has every
 * key of a live token, no node signs with an old key for longer than nodes may disagree, and no key
 * is made twice.
 */
export interface Watch extends AsyncDisposable {
  issued(issue: Issue): void
  /**
   * Notes a revocation: tokens of the key need not verify any more, and the last signature is
   * searched.
   */
  revoked(kid: string): Revocation
  /** Keys that have signed, by ring. */
  readonly signed: ReadonlyMap<string, ReadonlySet<string>>
  /** Keys found in the store, as `ring generation`. */
  readonly made: ReadonlyMap<string, string>
  /** Reads the store a last time and checks that it had every key that signed. */
  finish(): Promise<void>
}

/** Milliseconds. */
const POLL = 100
const STORE_POLL = 2000

export function createWatch(options: {
  readonly nodes: () => readonly Node[]
  readonly store: KeyStore
  readonly journal: Journal
  /** Called with what is seen for the first time. */
  readonly note: (line: string) => void
}): Watch {
  const { store, note } = options
  const complain = createComplaints(options.journal)
  const live = new Map<string, Live>()
  const revocations = new Map<string, Revocation>()
  const pollJwks = watchJwks({ live, revocations, complain, note })
  const inStore = watchStore(store, complain)
  const signers = watchSigners({ revocations, complain, note })
  const stopping = new AbortController()

  async function every(interval: number, work: () => Promise<unknown>): Promise<void> {
    while (!stopping.signal.aborted) {
      const startedAt = Date.now()
      await work().catch(() => {})
      const rest = Math.max(0, interval - (Date.now() - startedAt))
      await delay(rest, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  const loops = [
    every(POLL, () => Promise.all(options.nodes().map((node) => node.isUp && pollJwks(node)))),
    // Failures are ignored, because the store is unreadable while the database is stopped.
    every(STORE_POLL, inStore.read),
  ]
  return {
    signed: signers.signed,
    made: inStore.made,
    issued: (issue) => {
      const { kid, issuedAt, exp } = issue
      const known = live.get(kid)
      const until = Math.max(known?.until ?? 0, exp * 1000)
      live.set(kid, { since: known?.since ?? issuedAt, until })
      const revocation = revocations.get(kid)
      if (revocation) revocation.lastIssuedAt = issuedAt
      signers.issued(issue)
    },
    revoked: (kid) => {
      const now = Date.now()
      const revocation = { kid, lastIssuedAt: now, lastPublishedAt: now }
      revocations.set(kid, revocation)
      return revocation
    },
    finish: async () => {
      await inStore.read()
      for (const [ring, kids] of signers.signed) {
        for (const kid of kids) {
          if (inStore.had(kid, ring)) continue
          complain('unknown key', kid, `${kid} signed for ${ring} and was never in the store`)
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}
