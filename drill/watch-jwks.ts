import type { Complain } from './complaints.ts'
import type { Node } from './nodes.ts'

/** Checks the JWKS of a node: it must have every key of a live token. */
export type PollJwks = (node: Node) => Promise<void>

/** Lifetimes of the tokens of a key. */
export interface Live {
  /** Instant until which they are live, and since when that is known. */
  readonly until: number
  readonly since: number
}

/** Observations of a revoked key; instants in milliseconds since the epoch. */
export interface Revocation {
  readonly kid: string
  /** Instant of the last request that was answered with a token of the key. */
  lastIssuedAt: number
  /** Instant of the last JWKS of any node with the key. */
  lastPublishedAt: number
}

export interface JwksWatchOptions {
  /** By kid. */
  readonly live: ReadonlyMap<string, Live>
  readonly revocations: ReadonlyMap<string, Revocation>
  readonly complain: Complain
  /** Called with what is seen for the first time. */
  readonly note: (line: string) => void
}

/** Milliseconds. */
const POLL_TIMEOUT = 1000

export function watchJwks({ live, revocations, complain, note }: JwksWatchOptions): PollJwks {
  /** Kids that each node published last. */
  const published = new Map<string, ReadonlySet<string>>()
  return async (node) => {
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
    if (kids.size > 10) complain('published keys', node.name, `${node.name} publishes ${kids.size}`)
    for (const [kid, { since, until }] of live) {
      if (since >= from || until <= to || revocations.has(kid) || kids.has(kid)) continue
      const left = ((until - to) / 1000).toFixed(1)
      complain(
        'JWKS lacks a live key',
        `${node.name} ${kid}`,
        `${node.name} does not publish ${kid}, whose tokens live for ${left} s more`,
      )
    }
  }
}
