import type { KeyEvent } from '../ring/key.ts'
import { isRevocationOf, ringStates } from '../ring/lifecycle.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { Span } from './cluster.ts'
import type { Answer } from './delivery.ts'
import { type BornKey, keysOf, type Version } from './history.ts'

/** The instants of each key that decide whether an RP can fail: the extremes over all nodes. */

/** A node that answers for the JWKS. */
export interface NodeAnswer extends Answer {
  readonly span: Span
}

/** A token signed at the last instant of a span. */
export interface LastToken {
  readonly span: Span
  readonly signedAt: number
  /** Instant of true time until just before which the token is valid. */
  readonly expiresAt: number
}

export interface Sightings extends BornKey {
  readonly kid: string
  /** The earliest span in which a node signs with the key. */
  readonly firstSigner: Span | undefined
  /**
   * The last answers without the key from nodes that do not know it yet, except those that a later
   * and longer-lived answer makes irrelevant. Also the first such answer after the key begins to
   * sign.
   */
  readonly lacking: readonly NodeAnswer[]
  /** The token that is valid longest. */
  readonly lastToken: LastToken | undefined
  /** The earliest span in which a node no longer shows the key. */
  readonly removal: Span | undefined
  /** The last answers with the key. */
  readonly showing: readonly NodeAnswer[]
  readonly revokedAt: number | undefined
  /**
   * True if the key signs before RPs can know it because no other key is left, which is no fault of
   * the policy.
   */
  readonly isExcused: boolean
}

export interface SightingOptions {
  readonly policies: RotationPolicies
  readonly jwksMaxAge: number
  /** Longest lifetime of a token and the leeway that RPs grant, in seconds. */
  readonly tokenLifetime: number
}

/** Sightings of every key that is ever published. */
export function sightingsOf(
  versions: readonly Version[],
  spans: readonly Span[],
  options: SightingOptions,
): readonly Sightings[] {
  const { policies, jwksMaxAge } = options
  const events = versions.at(-1)?.facts.events ?? []
  const published = keysOf(versions).filter(({ key }) => policies.policyFor(key.ring).published)
  const find = spanIndex(spans)
  return published.map((born) => {
    const { kid } = born.key
    const signers = find.signing(kid)
    const firstSigner = earliest(signers)
    const unaware = find.before(born.version, born.bornAt - jwksMaxAge)
    const tokens = signers.map((span) => lastTokenOf(span, options.tokenLifetime))
    return {
      ...born,
      kid,
      firstSigner,
      lacking: [
        ...utmost(unaware, jwksMaxAge),
        ...(firstSigner ? answersAt(unaware, firstSigner.from, jwksMaxAge) : []),
      ],
      lastToken: tokens.reduce<LastToken | undefined>(
        (last, token) => (last && last.expiresAt >= token.expiresAt ? last : token),
        undefined,
      ),
      removal: earliest(find.after(kid)),
      showing: utmost(find.showing(kid), jwksMaxAge),
      revokedAt: events.find((event) => isRevocationOf(event, born.key))?.at,
      isExcused: born.version === 0 || isEmergency(born, firstSigner, versions, policies),
    }
  })
}

/**
 * Index of spans by kid and version, because a search through all spans for each key takes far
 * longer.
 */
function spanIndex(spans: readonly Span[]) {
  const signing = new Map<string, Span[]>()
  const showing = new Map<string, Span[]>()
  const after = new Map<string, Span[]>()
  const add = (index: Map<string, Span[]>, kid: string, span: Span) => {
    const found = index.get(kid)
    if (found) found.push(span)
    else index.set(kid, [span])
  }
  for (const [i, span] of spans.entries()) {
    for (const kid of span.view.signers.keys()) add(signing, kid, span)
    const next = spans[i + 1]
    for (const kid of span.view.kids) {
      add(showing, kid, span)
      if (next?.node === span.node && !next.view.kids.has(kid)) add(after, kid, next)
    }
  }
  const versions = [...Map.groupBy(spans, ({ version }) => version)].map(([version, group]) => {
    return { version, group, until: group.reduce((last, span) => Math.max(last, span.until), 0) }
  })
  return {
    signing: (kid: string) => signing.get(kid) ?? [],
    showing: (kid: string) => showing.get(kid) ?? [],
    /** Spans that follow the last span in which a node showed the kid. */
    after: (kid: string) => after.get(kid) ?? [],
    /** Spans of earlier versions that last beyond an instant. */
    before: (version: number, at: number) =>
      versions
        .filter((each) => each.version < version && each.until >= at)
        .flatMap(({ group }) => group.filter(({ until }) => until >= at)),
  }
}

/** True if a key had to sign early because of a revocation. */
function isEmergency(
  { key }: BornKey,
  firstSigner: Span | undefined,
  versions: readonly Version[],
  policies: RotationPolicies,
): boolean {
  const facts = versions[firstSigner?.version ?? -1]?.facts
  const isRevocation = ({ ring, type }: KeyEvent) =>
    ring === key.ring && (type === 'revoke' || type === 'revoke-before')
  if (!firstSigner || !facts?.events.some(isRevocation)) return false
  const policy = policies.policyFor(key.ring)
  const states = ringStates(facts, policy, firstSigner.from + firstSigner.node.offset)
  const activatesAt = states.find((state) => state.key.kid === key.kid)?.activatesAt ?? Infinity
  return activatesAt - key.createdAt < policy.propagation
}

function lastTokenOf(span: Span, lifetime: number): LastToken {
  const signedAt = span.until - 1
  // `iat` and `exp` come from the signing node's clock.
  return { span, signedAt, expiresAt: signedAt + span.node.offset + lifetime }
}

function earliest(spans: readonly Span[]): Span | undefined {
  return spans.reduce<Span | undefined>(
    (first, span) => (first && first.from <= span.from ? first : span),
    undefined,
  )
}

/**
 * Answers for which no other answer is both later and kept as long: the last of each span, and the
 * last before max-age shrinks.
 */
function utmost(spans: readonly Span[], jwksMaxAge: number): readonly NodeAnswer[] {
  const answers = spans.flatMap((span) => {
    const last = span.until - 1
    const change = (span.view.nextPublishedChangeAt ?? Infinity) - span.node.offset
    const full = Math.max(span.from, Math.min(last, change - jwksMaxAge))
    return [last, full].map((at) => answerOf(span, at, jwksMaxAge))
  })
  const kept: NodeAnswer[] = []
  for (const answer of answers.sort((a, b) => b.at - a.at || b.maxAge - a.maxAge)) {
    if (answer.maxAge > (kept.at(-1)?.maxAge ?? 0)) kept.push(answer)
  }
  return kept
}

/** An answer at an instant, if any span covers it. */
function answersAt(spans: readonly Span[], at: number, jwksMaxAge: number): readonly NodeAnswer[] {
  const span = spans.find(({ from, until }) => at >= from && at < until)
  return span ? [answerOf(span, at, jwksMaxAge)] : []
}

/**
 * Answer as `http/published.ts` gives it: not to be cached beyond the next change that the node
 * knows.
 */
function answerOf(span: Span, at: number, jwksMaxAge: number): NodeAnswer {
  const left = (span.view.nextPublishedChangeAt ?? Infinity) - (at + span.node.offset)
  return { at, kids: span.view.kids, maxAge: Math.max(1, Math.min(jwksMaxAge, left)), span }
}
