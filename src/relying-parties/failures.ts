import {
  type Answer,
  type CacheRules,
  DELIVERIES,
  type DeliveryName,
  lastHandedAt,
  type Origin,
  openDelivery,
} from './delivery.ts'
import type { RpModel } from './models.ts'
import {
  type Copy,
  coolDownOf,
  lifetimeOf,
  type RelyingParty,
  startRelyingParty,
} from './relying-party.ts'
import type { NodeAnswer, Sightings } from './sightings.ts'

/**
 * Whether an RP of a model can be made to refuse a valid token: every way to deliver the JWKS, every
 * answer, fetch and token at an instant that can matter is tried on the RP of `relying-party.ts`.
 * Instants that matter are sums of the parameters; between them nothing changes.
 */

export interface FailureRules extends CacheRules {
  readonly jwksMaxAge: number
  /** Seconds from the answer of a node to the end of the fetch. */
  readonly flight: number
  /** Seconds between two tokens at an RP that refreshes behind its answers, or between two starts. */
  readonly gap: number
}

/** An RP refuses a kid that it could not know. */
export interface Refusal {
  readonly delivery: DeliveryName
  readonly answer: NodeAnswer
  /** When its last fetch before ended. */
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

/** Can an RP meet the key before it knows it? */
export function meetUnknown(kind: RpModel, key: Sightings, rules: FailureRules): Forward {
  // One that reads the JWKS when it starts, and is restarted in time, fetches as often as that.
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

/** Does an RP that has just started, and gets what a node answers, refuse the kid? */
export function refusesAtStart(model: RpModel, kid: string, { kids }: Pick<Copy, 'kids'>): boolean {
  const rp = startRelyingParty(model, () => ({ kids, maxAge: 1 }))
  return !rp.verify(kid, 0)
}

/**
 * How long an RP may go on believing a revoked key.
 * @param fresh the first key made after the revocation that signs, at which RPs drop the other
 * @returns the last instant at which it believes it; Infinity where nothing before `until` ends it
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
    // The fetch for its first token takes time, in which others are judged by what is there.
    const flush = Math.max(loadedAt, (fresh?.signsAt ?? Infinity) + rules.flight)
    const coolDown = coolDownOf(model, answer.maxAge)
    const dropped = [flush, flush + coolDown].filter(Number.isFinite)
    const met = dropped.flatMap((at) =>
      fresh ? [tokenOf(fresh.kid, at), tokenOf(fresh.kid, at + 1)] : [],
    )
    // The last before the fresh key comes, as long as the set is there; and the first, which keeps
    // an entry of the key that is not made anew then.
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

/** An answer on its way, by one delivery. */
interface Arrangement {
  readonly delivery: DeliveryName
  readonly answer: NodeAnswer
  /** The last instant at which a request gets it. */
  readonly handedAt: number
  /** The fetches of one RP, by the instants at which they end. */
  readonly open: () => (end: number) => Copy
}

/**
 * Every delivery of every answer. A load balancer may pick the worst node for each request: as long
 * as one gives such an answer, requests get it.
 * @param later what nodes show once none does
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

/** Seconds after a fetch at which an RP may come by another set. */
function turns(
  model: RpModel,
  { maxAge }: Pick<Answer, 'maxAge'>,
  { gap }: Pick<FailureRules, 'gap'>,
): readonly number[] {
  const lifetime = lifetimeOf(model, maxAge)
  return [0, coolDownOf(model, maxAge), lifetime, lifetime + gap - 1]
}

/** Instants at which a key may be believed for the last time, if it was to be had at one of the bases. */
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

/** So many seconds after each base, and the seconds beside them; in order. */
function instants(bases: readonly number[], after: readonly number[]): readonly number[] {
  // Two before: what begins with the last token before a base ends a second sooner.
  const beside = [-2, -1, 0, 1]
  const sums = bases.flatMap((base) => after.flatMap((s) => beside.map((off) => base + s + off)))
  return [...new Set(sums)].filter(Number.isFinite).sort((a, b) => a - b)
}

/** Rounds of a wait of years that leave a trace: it keeps two sets, each for less than a round. */
const MOST_ROUNDS = 100

/**
 * Tokens of a key that is known, in the worst rhythm: refreshing behind answers needs answers, and an old
 * set is believed from its last one on.
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
  // Just before the end of its set, so that the next token comes as late as can be after it.
  for (let at = rp.expiresAt - 1; at > from && at < until; at = rp.expiresAt - 1) {
    rp.verify(known, at)
    if (at + gap >= until) return
    rp.verify(known, at + gap)
  }
}
