import { setTimeout as delay } from 'node:timers/promises'
import type { KeyStore } from '../src/ring/key-store.ts'
import type { Journal } from './journal.ts'
import type { Issue } from './load.ts'
import type { Node } from './nodes.ts'
import { LIMITS } from './settings.ts'

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

/** Observations of a revoked key; instants in milliseconds since the epoch. */
export interface Revocation {
  readonly kid: string
  /** Instant of the last request that was answered with a token of the key. */
  lastIssuedAt: number
  /** Instant of the last JWKS of any node with the key. */
  lastPublishedAt: number
}

/** Milliseconds. */
const POLL = 100
const STORE_POLL = 2000
const POLL_TIMEOUT = 1000

interface Signer {
  readonly kid: string
  firstIssuedAt: number
}

export function createWatch(options: {
  readonly nodes: () => readonly Node[]
  readonly store: KeyStore
  readonly journal: Journal
  /** Called with what is seen for the first time. */
  readonly note: (line: string) => void
}): Watch {
  const { journal, note } = options
  /** Instant until which tokens of each kid are live, and since when that is known. */
  const live = new Map<string, { until: number; readonly since: number }>()
  const revocations = new Map<string, Revocation>()
  const signed = new Map<string, Set<string>>()
  const signers = new Map<string, Signer[]>()
  const made = new Map<string, string>()
  const stored = new Map<string, { readonly ring: string; readonly generation: number }>()
  /** Kids that each node published last. */
  const published = new Map<string, ReadonlySet<string>>()
  const complained = new Set<string>()
  const stopping = new AbortController()

  const once = (rule: string, key: string, detail: string) => {
    if (complained.has(`${rule} ${key}`)) return
    complained.add(`${rule} ${key}`)
    journal.violation(rule, detail)
  }

  async function pollJwks(node: Node): Promise<void> {
    const from = Date.now()
    const signal = AbortSignal.timeout(POLL_TIMEOUT)
    const answer = await fetch(`${node.url}/jwks`, { signal }).catch(() => undefined)
    const text = await answer?.text().catch(() => undefined)
    // A node without an answer is ignored, because a load balancer avoids it.
    if (answer?.status !== 200 || text === undefined) return
    const to = Date.now()
    // The node wrote it.
    const { keys } = JSON.parse(text) as { keys: readonly { kid: string }[] }
    const kids = new Set(keys.map(({ kid }) => kid))
    const before = published.get(node.name) ?? new Set()
    for (const kid of kids.difference(before)) note(`${node.name} publishes ${kid}`)
    for (const kid of before.difference(kids)) note(`${node.name} no longer publishes ${kid}`)
    published.set(node.name, kids)
    for (const kid of kids) {
      const revocation = revocations.get(kid)
      if (revocation) revocation.lastPublishedAt = from
    }
    if (kids.size > 10) once('published keys', node.name, `${node.name} publishes ${kids.size}`)
    for (const [kid, { since, until }] of live) {
      if (since >= from || until <= to || revocations.has(kid) || kids.has(kid)) continue
      const left = ((until - to) / 1000).toFixed(1)
      once(
        'JWKS lacks a live key',
        `${node.name} ${kid}`,
        `${node.name} does not publish ${kid}, whose tokens live for ${left} s more`,
      )
    }
  }

  async function readStore(): Promise<void> {
    const { keys } = await options.store.load()
    for (const { id, ring, generation } of keys) {
      stored.set(id, { ring, generation })
      const place = `${ring} ${generation}`
      const known = made.get(place)
      if (known !== undefined && known !== id) {
        once('key made twice', place, `generation ${generation} of ${ring} was ${known}, now ${id}`)
      }
      made.set(place, id)
    }
  }

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
    every(STORE_POLL, readStore),
  ]
  return {
    signed,
    made,
    issued: (issue) => {
      const { kid, algorithm, askedAt, issuedAt, node, iat, exp } = issue
      const skew = LIMITS.clockSkew * 1000
      // `iat` is a whole second, rounded down.
      if (iat * 1000 > issuedAt + skew || iat * 1000 < askedAt - skew - 1000) {
        const off = (iat - issuedAt / 1000).toFixed(1)
        once('wrong date', node, `${node} issued a token that is dated ${off} s off`)
      }
      const ring = `sig/${algorithm}`
      const known = live.get(kid)
      const until = Math.max(known?.until ?? 0, exp * 1000)
      live.set(kid, { since: known?.since ?? issuedAt, until })
      signed.set(ring, (signed.get(ring) ?? new Set()).add(kid))
      const revocation = revocations.get(kid)
      if (revocation) revocation.lastIssuedAt = issuedAt

      const list = signers.get(ring) ?? []
      signers.set(ring, list)
      const signer = list.find((candidate) => candidate.kid === kid)
      if (!signer) {
        note(`${node} signs with ${kid} in ${ring}`)
        list.push({ kid, firstIssuedAt: issuedAt })
        return
      }
      // A key that began to sign after this one has been signing for longer than nodes may differ.
      const most = LIMITS.maxRingAge * 1000 + 2 * skew
      const later = list.slice(list.indexOf(signer) + 1)
      const overdue = later.find(
        (next) => askedAt - next.firstIssuedAt > most && !revocations.has(next.kid),
      )
      if (!overdue) return
      const seconds = ((askedAt - overdue.firstIssuedAt) / 1000).toFixed(1)
      once(
        'two signers',
        `${node} ${kid}`,
        `${node} signs with ${kid} ${seconds} s after ${overdue.kid} began to sign in ${ring}`,
      )
    },
    revoked: (kid) => {
      const now = Date.now()
      const revocation = { kid, lastIssuedAt: now, lastPublishedAt: now }
      revocations.set(kid, revocation)
      return revocation
    },
    finish: async () => {
      await readStore()
      for (const [ring, kids] of signed) {
        for (const kid of kids) {
          if (stored.get(kid)?.ring === ring) continue
          once('unknown key', kid, `${kid} signed for ${ring} and was never in the store`)
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}
