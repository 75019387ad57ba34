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
import { type Copy, coolDownOf, lifetimeOf, startRelyingParty } from './relying-party.ts'
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
  /** Seconds between two tokens at an RP that refreshes behind its answers. */
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
export function meetUnknown(model: RpModel, key: Sightings, rules: FailureRules): Forward {
  const { kid, lacking, firstSigner } = key
  const signedFrom = firstSigner?.from ?? Infinity
  const refusals: Refusal[] = []
  let tried = 0
  const later = (_: number, { kids }: NodeAnswer) => kids.union(new Set([kid]))
  for (const { delivery, answer, handedAt, open } of arrangements(lacking, later, rules)) {
    const loads = [answer.at + rules.flight, handedAt + rules.flight]
    for (const loadedAt of new Set(loads)) {
      for (const at of instants(model, answer, [...loads, signedFrom], rules)) {
        if (at < loadedAt) continue
        tried += 1
        const rp = startRelyingParty(model, open())
        rp.load(loadedAt)
        keepBusy(rp, model, answer, { from: loadedAt, until: at, gap: rules.gap })
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
  fresh: { readonly kid: string; readonly signsAt: number } | undefined,
  { until, ...rules }: FailureRules & { readonly until: number },
): number {
  const othersOf = ({ kids }: Copy) => kids.difference(new Set([key.kid]))
  const later = (at: number, answer: NodeAnswer) =>
    fresh && at >= fresh.signsAt ? othersOf(answer).union(new Set([fresh.kid])) : othersOf(answer)
  let last = -Infinity
  for (const { answer, handedAt, open } of arrangements(key.showing, later, rules)) {
    const loadedAt = handedAt + rules.flight
    if (loadedAt > until) return Infinity
    const flush = Math.max(loadedAt, fresh?.signsAt ?? Infinity)
    const coolDown = coolDownOf(model, answer.maxAge)
    for (const at of [...instants(model, answer, [loadedAt, flush], rules), until]) {
      if (at < loadedAt || at > until || at <= last) continue
      const rp = startRelyingParty(model, open())
      rp.load(loadedAt)
      rp.verify(key.kid, loadedAt)
      const others = { kids: othersOf(answer) }
      keepBusy(rp, model, others, { from: loadedAt, until: at, gap: rules.gap })
      for (const due of [flush, flush + 1, flush + coolDown, flush + coolDown + 1]) {
        if (fresh && due <= at) rp.verify(fresh.kid, due)
      }
      if (rp.verify(key.kid, at)) last = at
    }
  }
  return last >= until ? Infinity : last
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

/** Instants around which an RP behaves differently, if it fetched at one of the bases. */
function instants(
  model: RpModel,
  { maxAge }: Pick<Answer, 'maxAge'>,
  bases: readonly number[],
  { gap }: Pick<FailureRules, 'gap'>,
): readonly number[] {
  const lifetime = lifetimeOf(model, maxAge)
  const behind = lifetime + gap - 1
  const after = [
    0,
    coolDownOf(model, maxAge),
    lifetime,
    behind,
    behind + (model.lastKnownGood ?? 0),
  ]
  const sums = bases.flatMap((base) => after.flatMap((s) => [base + s - 1, base + s, base + s + 1]))
  return [...new Set(sums)].filter(Number.isFinite).sort((a, b) => a - b)
}

/** Rounds of a wait of years that leave a trace: it keeps two sets, each for less than a round. */
const MOST_ROUNDS = 100

/** Refreshing behind answers needs answers: tokens of a key that is known, in the worst rhythm. */
function keepBusy(
  rp: ReturnType<typeof startRelyingParty>,
  model: RpModel,
  { kids }: Pick<Copy, 'kids'>,
  { from, until, gap }: { readonly from: number; readonly until: number; readonly gap: number },
): void {
  const [known] = kids
  if (model.refresh !== 'behind' || known === undefined) return
  const period = lifetimeOf(model, 0) - 1 + gap
  const rounds = Math.floor((until - from) / period)
  if (rounds > MOST_ROUNDS) rp.load(from + (rounds - MOST_ROUNDS) * period)
  // Just before the end of its set, so that the next token comes as late as can be after it.
  for (let at = rp.expiresAt - 1; at > from && at < until; at = rp.expiresAt - 1) {
    rp.verify(known, at)
    if (at + gap >= until) return
    rp.verify(known, at + gap)
  }
}
