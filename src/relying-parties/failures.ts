import {
  type Answer,
  type CacheRules,
  DELIVERIES,
  type DeliveryName,
  lastHandedAt,
  type Origin,
  openDelivery,
} from './delivery.ts'
import { type Copy, coolDownOf, lifetimeOf } from './held-set.ts'
import type { RpModel } from './model.ts'
import { type RelyingParty, startRelyingParty } from './relying-party.ts'
import type { NodeAnswer, Sightings } from './sightings.ts'

/**
 * Searches for a way in which an RP of a model refuses a valid token. Every delivery of the JWKS,
 * and every answer, fetch and token at a relevant instant, is tried on the RP of
 * `relying-party.ts`. Relevant instants are sums of the parameters, because nothing changes between
 * them.
 */

export interface FailureRules extends CacheRules {
  readonly jwksMaxAge: number
  /** Seconds from the answer of a node to the end of the fetch. */
  readonly flight: number
  /**
   * Seconds between two tokens at an RP that refreshes behind its answers, or between two starts.
   */
  readonly gap: number
}

/** An RP refuses a kid that it could not know. */
export interface Refusal {
  readonly delivery: DeliveryName
  readonly answer: NodeAnswer
  /** End of the RP's last fetch before the refusal. */
  readonly loadedAt: number
  readonly refusedAt: number
}

export interface Forward {
  /** The last instant at which a token of the key could be refused. */
  readonly blindUntil: number
  /** Refusals of tokens that nodes do sign. */
  readonly refusals: readonly Refusal[]
  readonly tried: number
}

/** Tries whether an RP can meet a token of the key before it knows the key. */
export function meetUnknown(kind: RpModel, key: Sightings, rules: FailureRules): Forward {
  // An RP that reads the JWKS only at its start, and is restarted in time, fetches as often as it
  // is restarted.
  const model = kind.proof === 'if restarted' ? { ...kind, lifetime: rules.gap } : kind
  const { kid, lacking, firstSigner } = key
  const signedFrom = firstSigner?.from ?? Infinity
  const refusals: Refusal[] = []
  let tried = 0
  const later = (_: number, { kids }: NodeAnswer) => kids.union(new Set([kid]))
  for (const { delivery, answer, handedAt, open } of arrangements(lacking, later, rules)) {
    const loads = [answer.at + rules.flight, handedAt + rules.flight]
    for (const loadedAt of new Set(loads)) {
      for (const at of instants([...loads, signedFrom], turns(model, answer, rules))) {
        if (at < loadedAt) continue
        tried += 1
        const rp = startRelyingParty(model, open())
        rp.load(loadedAt)
        keepBusy(rp, model, answer, { ...rules, from: loadedAt, until: at })
        if (!rp.verify(kid, at)) refusals.push({ delivery, answer, loadedAt, refusedAt: at })
      }
    }
  }
  const blindUntil = Math.max(...refusals.map(({ refusedAt }) => refusedAt), key.bornAt)
  const failures = refusals.filter(({ refusedAt }) => refusedAt >= signedFrom)
  return { blindUntil, refusals: failures, tried }
}

/** True if an RP that has just started and fetched this answer refuses the kid. */
export function refusesAtStart(model: RpModel, kid: string, { kids }: Pick<Copy, 'kids'>): boolean {
  const rp = startRelyingParty(model, () => ({ kids, maxAge: 1 }))
  return !rp.verify(kid, 0)
}

/**
 * The longest time for which an RP may trust a revoked key.
 * @param fresh the first signing key made after the revocation; RPs drop the revoked key when they
 * meet it
 * @returns the last instant at which the RP trusts the key; Infinity if trust does not end before
 * `until`
 */
export function believesUntil(
  model: RpModel,
  key: Sightings,
  fresh: FreshKey | undefined,
  { until, ...rules }: FailureRules & { readonly until: number },
): number {
  const othersOf = ({ kids }: Copy) => kids.difference(new Set([key.kid]))
  const later = (at: number, answer: NodeAnswer) =>
    fresh && at >= fresh.signsAt ? othersOf(answer).union(new Set([fresh.kid])) : othersOf(answer)
  let last = -Infinity
  for (const { answer, handedAt, open } of arrangements(key.showing, later, rules)) {
    const loadedAt = handedAt + rules.flight
    if (loadedAt > until) return Infinity
    const others = { kids: othersOf(answer) }
    // The fetch for the fresh key's first token takes time, during which other tokens are checked
    // against the old set.
    const flush = Math.max(loadedAt, (fresh?.signsAt ?? Infinity) + rules.flight)
    const coolDown = coolDownOf(model, answer.maxAge)
    const dropped = [flush, flush + coolDown].filter(Number.isFinite)
    const met = dropped.flatMap((at) =>
      fresh ? [tokenOf(fresh.kid, at), tokenOf(fresh.kid, at + 1)] : [],
    )
    // Two cases: the last token before the fresh key, while the old set is still there; and the
    // first token, which creates an entry of the key that is not renewed later.
    const late = dropped.map((at) => tokenOf(key.kid, at - 1))
    const ends = [...lastInstants(model, answer, [loadedAt, flush], rules), until]
    for (const touched of [[tokenOf(key.kid, loadedAt)], late]) {
      for (const at of ends.toReversed()) {
        if (at < loadedAt || at > until) continue
        if (at <= last) break
        const rp = startRelyingParty(model, open())
        rp.load(loadedAt)
        const tokens = [...touched, ...met].filter((token) => token.at >= loadedAt && token.at < at)
        let from = loadedAt
        for (const token of tokens.sort((a, b) => a.at - b.at)) {
          keepBusy(rp, model, others, { ...rules, from, until: token.at })
          rp.verify(token.kid, token.at)
          from = token.at
        }
        keepBusy(rp, model, others, { ...rules, from, until: at })
        if (!rp.verify(key.kid, at)) continue
        last = at
        break
      }
    }
  }
  return last >= until ? Infinity : last
}

export interface FreshKey {
  readonly kid: string
  readonly signsAt: number
}

function tokenOf(kid: string, at: number) {
  return { kid, at }
}

/** An answer with a way of delivery. */
interface Arrangement {
  readonly delivery: DeliveryName
  readonly answer: NodeAnswer
  /** The last instant at which a request gets the answer. */
  readonly handedAt: number
  /** Starts the fetches of an RP; each is identified by the instant at which it ends. */
  readonly open: () => (end: number) => Copy
}

/**
 * Combines every delivery with every answer. A load balancer may pick the worst node for each
 * request, so requests get such an answer as long as any node gives it.
 * @param later keys that nodes show once no node gives such an answer
 */
function arrangements(
  answers: readonly NodeAnswer[],
  later: (at: number, answer: NodeAnswer) => ReadonlySet<string>,
  rules: FailureRules,
): readonly Arrangement[] {
  const last = answers[0]
  return DELIVERIES.flatMap((delivery) =>
    answers.map((answer) => {
      const handedAt = lastHandedAt(delivery, answer, rules)
      const isCutOff = delivery !== 'directly' && rules.staleIfError > 0
      const origin: Origin = (at) => {
        if (at <= answer.at) return answer
        if (isCutOff && at <= handedAt) return undefined
        if (last && at <= last.at) return last
        return { kids: later(at, answer), maxAge: rules.jwksMaxAge, at }
      }
      const open = () => {
        const way = openDelivery(delivery, origin, { ...rules, warmedAt: answer.at })
        return (end: number) => way(end - rules.flight)
      }
      return { delivery, answer, handedAt, open }
    }),
  )
}

/** Seconds after a fetch at which an RP may get another set. */
function turns(
  model: RpModel,
  { maxAge }: Pick<Answer, 'maxAge'>,
  { gap }: Pick<FailureRules, 'gap'>,
): readonly number[] {
  const lifetime = lifetimeOf(model, maxAge)
  return [0, coolDownOf(model, maxAge), lifetime, lifetime + gap - 1]
}

/**
 * Instants at which a key may be trusted for the last time, if it was in the JWKS at one of the
 * bases.
 */
function lastInstants(
  model: RpModel,
  answer: Pick<Answer, 'maxAge'>,
  bases: readonly number[],
  rules: Pick<FailureRules, 'gap'>,
): readonly number[] {
  const { keeps, keepsTokens = 0, oldSets } = model
  const own = keeps === 'set' ? 0 : lifetimeOf(model, answer.maxAge)
  const more = [0, own, keepsTokens, oldSets?.believedFor ?? 0]
  return instants(
    bases,
    turns(model, answer, rules).flatMap((turn) => more.map((each) => turn + each)),
  )
}

/** The instants `after` seconds after each base, with the seconds beside them, in order. */
function instants(bases: readonly number[], after: readonly number[]): readonly number[] {
  // Also two seconds before, because a time that begins with the last token before a base ends a
  // second earlier.
  const beside = [-2, -1, 0, 1]
  const sums = bases.flatMap((base) => after.flatMap((s) => beside.map((off) => base + s + off)))
  return [...new Set(sums)].filter(Number.isFinite).sort((a, b) => a - b)
}

/**
 * Rounds of a long wait that can still have an effect, because an RP keeps two sets, each for less
 * than a round.
 */
const MOST_ROUNDS = 100

/**
 * Sends tokens of a known key in the worst rhythm, because an RP that refreshes behind its answers
 * needs answers, and an old set is trusted for a time after its last token.
 */
function keepBusy(
  rp: RelyingParty,
  model: RpModel,
  { kids }: Pick<Copy, 'kids'>,
  {
    from,
    until,
    gap,
    jwksMaxAge,
  }: FailureRules & { readonly from: number; readonly until: number },
): void {
  const [known] = kids
  if ((model.refresh !== 'behind' && !model.oldSets) || known === undefined) return
  const period = lifetimeOf(model, jwksMaxAge) - 1 + gap
  const rounds = Math.floor((until - from) / period)
  if (rounds > MOST_ROUNDS) rp.load(from + (rounds - MOST_ROUNDS) * period)
  let before = from
  // Just before the set expires, so that the next token comes as late as possible after it.
  for (let at = rp.expiresAt - 1; at > before && at < until; at = rp.expiresAt - 1) {
    before = at
    rp.verify(known, at)
    if (at + gap >= until) return
    rp.verify(known, at + gap)
  }
}
