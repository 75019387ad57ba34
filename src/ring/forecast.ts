import { toRfc3339 } from '../clock.ts'
import { type Action, assume } from './action.ts'
import type { RingName } from './key.ts'
import {
  allStates,
  type KeyState,
  nextChangeAt,
  type Phase,
  type RingFacts,
  ringNames,
} from './lifecycle.ts'
import { plan } from './plan.ts'
import type { RotationPolicies } from './policy.ts'

/**
 * Forecast of the rings if nobody gives an order: the walk of the scheduler from change to change,
 * with assumed facts instead of a store. Pure.
 */

/**
 * Changes made by the plan (`create`, `promote`, `extend`, `erase`, `delete`) and by time alone
 * (`activate`, `retire`, `unpublish`).
 */
export type ChangeType =
  | 'create'
  | 'promote'
  | 'extend'
  | 'activate'
  | 'retire'
  | 'unpublish'
  | 'erase'
  | 'delete'

export interface Change {
  readonly at: number
  readonly ring: RingName
  readonly generation: number
  /** Null for a key that is not made yet. */
  readonly kid: string | null
  readonly type: ChangeType
  readonly reason: string
  /** Effect of the change on the JWKS as RPs see it; null if there is none. */
  readonly readers: string | null
}

/** All changes at one instant. */
export interface Moment {
  readonly at: number
  readonly changes: readonly Change[]
  /** Steps that cannot be planned at that instant, each with its reason. */
  readonly warnings: readonly string[]
}

export interface Forecast {
  /** Changes that are due at `now`. */
  readonly due: readonly Change[]
  /** Later changes, in order of time. */
  readonly changes: readonly Change[]
  readonly warnings: readonly string[]
  /**
   * The last instant that was examined, if the forecast was cut off for its length; otherwise null.
   */
  readonly cutAt: number | null
}

export interface ForecastOptions {
  readonly now: number
  /** Largest number of moments for each ring. */
  readonly steps?: number
  /** Last instant of interest. */
  readonly until?: number
}

/**
 * Most moments of a forecast, which take some seconds: rings that turn every few minutes have very
 * many moments in a year.
 */
const MOST_MOMENTS = 2000

/**
 * The next changes of every ring. Rings are examined together, because they share one JWKS; if that
 * takes too many moments, each ring is examined by itself.
 * @example
 * forecast(facts, policies, { now, steps: 3 }).changes
 * // the standby takes over; its predecessor's private half is erased, then its public half leaves
 */
export function forecast(
  facts: RingFacts,
  policies: RotationPolicies,
  { now, steps = Infinity, until = Infinity }: ForecastOptions,
): Forecast {
  const rings = ringNames(facts, policies)
  const counts = new Map<RingName, number>()
  const countOf = (ring: RingName) => counts.get(ring) ?? 0
  const changes: Change[] = []
  let today: Moment | undefined
  let cutAt: number | null = null
  let seen = 0
  for (const moment of moments(facts, policies, now).take(MOST_MOMENTS)) {
    if (moment.at > until) break
    seen += 1
    if (seen === MOST_MOMENTS) cutAt = moment.at
    today ??= moment
    if (moment === today) continue
    for (const ring of new Set(moment.changes.map((change) => change.ring))) {
      counts.set(ring, countOf(ring) + 1)
    }
    changes.push(...moment.changes.filter((change) => countOf(change.ring) <= steps))
    if (rings.every((ring) => countOf(ring) >= steps)) {
      cutAt = null
      break
    }
  }
  if (cutAt !== null && rings.length > 1) {
    // A ring that turns every few minutes would crowd out rings that turn every few months.
    const alone = rings.map((ring) => {
      const own = {
        keys: facts.keys.filter((key) => key.ring === ring),
        events: facts.events.filter((event) => event.ring === ring),
      }
      const policy = policies.policyFor(ring)
      const only = { ...policies, rings: policy.configured ? [policy] : [] }
      return forecast(own, only, { now, steps, until })
    })
    const cuts = alone.flatMap((each) => each.cutAt ?? [])
    return {
      due: today?.changes ?? [],
      changes: alone.flatMap((each) => each.changes).sort((a, b) => a.at - b.at),
      warnings: today?.warnings ?? [],
      cutAt: cuts.length === 0 ? null : Math.min(...cuts),
    }
  }
  return { due: today?.changes ?? [], changes, warnings: today?.warnings ?? [], cutAt }
}

/** Changes of one key, from now to the deletion of its record. */
export function futureOf(
  kid: string,
  facts: RingFacts,
  policies: RotationPolicies,
  now: number,
): readonly Change[] {
  const changes: Change[] = []
  for (const moment of moments(facts, policies, now).take(MOST_MOMENTS)) {
    changes.push(...moment.changes.filter((change) => change.kid === kid))
    if (changes.at(-1)?.type === 'delete') break
  }
  return changes
}

/** Every moment of change, beginning with `now` and without end. */
export function* moments(
  facts: RingFacts,
  policies: RotationPolicies,
  now: number,
): Generator<Moment, undefined> {
  // Existing keys have kids; keys that `assume` adds have stand-ins.
  const known = new Set(facts.keys.map((key) => key.kid))
  let assumed = facts
  let before = allStates(assumed, policies, now)
  for (let at: number | null = now; at !== null; at = nextChangeAt(assumed, policies, at)) {
    const planned = plan(assumed, policies, at)
    const arrived = allStates(assumed, policies, at)
    const passed = turnsBetween(before, arrived)
    assumed = planned.actions.reduce(assume, assumed)
    before = allStates(assumed, policies, at)

    const scene = { at, known, policies, states: before }
    const changes = [
      ...passed.map((state) => turnOf(state, scene)),
      ...planned.actions.map((action) => changeOf(action, arrived, scene)),
      ...turnsBetween(arrived, before).map((state) => turnOf(state, scene)),
    ]
    if (changes.length > 0 || at === now) yield { at, changes, warnings: planned.warnings }
  }
}

interface Scene {
  readonly at: number
  readonly known: ReadonlySet<string>
  readonly policies: RotationPolicies
  /** The states after all changes of this instant. */
  readonly states: readonly KeyState[]
}

/** Keys whose phase differs. A new key that waits has not turned. */
function turnsBetween(
  before: readonly KeyState[],
  after: readonly KeyState[],
): readonly KeyState[] {
  const was = new Map<string, Phase>(before.map(({ key, phase }) => [key.kid, phase]))
  return after.filter(({ key, phase }) => phase !== (was.get(key.kid) ?? 'pre-active'))
}

const TURNS = {
  'pre-active': 'create',
  active: 'activate',
  retired: 'retire',
  archived: 'unpublish',
  revoked: 'unpublish',
} as const satisfies Record<Phase, ChangeType>

function turnOf(state: KeyState, scene: Scene): Change {
  const { key, phase, unpublishAt } = state
  const type = TURNS[phase]
  const { published } = scene.policies.policyFor(key.ring)
  const describe = (reason: string, readers: string | null): Change => ({
    ...identify(key, scene),
    type,
    reason,
    readers: published ? readers : null,
  })
  if (type === 'activate') {
    const isEarly = state.activatesAt < key.activatesAt
    return describe(
      isEarly ? 'it was promoted' : 'as planned when it was made',
      `new tokens carry its kid, which the JWKS shows since ${toRfc3339(key.createdAt)}`,
    )
  }
  if (type === 'retire') {
    const next = scene.states.find((s) => s.key.ring === key.ring && s.phase === 'active')
    const until = unpublishAt === null ? '' : ` until ${toRfc3339(unpublishAt)}`
    return describe(
      next ? `generation ${next.key.generation} takes over` : 'a later generation took over',
      `tokens that it signed verify as before; the JWKS shows it${until}`,
    )
  }
  return describe('everything that it signed has expired', 'the JWKS no longer shows it')
}

function changeOf(action: Action, states: readonly KeyState[], scene: Scene): Change {
  const { ring, reason } = action
  const { published } = scene.policies.policyFor(ring)
  if (action.type === 'create') {
    const { generation, activatesAt } = action
    const readers = `the JWKS shows a new key, to sign from ${toRfc3339(activatesAt)}`
    return {
      at: scene.at,
      ring,
      generation,
      kid: null,
      type: 'create',
      reason,
      readers: published ? readers : null,
    }
  }
  const kid = action.type === 'record' ? kidOf(action) : action.kid
  const key = [...states, ...scene.states].find((state) => state.key.kid === kid)?.key
  const identity = identify({ ring, kid, generation: key?.generation ?? 0 }, scene)
  if (action.type !== 'record') return { ...identity, type: action.type, reason, readers: null }
  const { event } = action
  const type = event.type === 'extend' ? 'extend' : 'promote'
  return { ...identity, type, reason, readers: null }
}

/** The key of a recorded event: plans record only promotions and extensions, which name a key. */
function kidOf({ event }: Extract<Action, { type: 'record' }>): string {
  if ('kid' in event) return event.kid
  throw new TypeError(`a plan does not record ${event.type}`)
}

function identify(
  { ring, generation, kid }: { ring: RingName; generation: number; kid: string },
  { at, known }: Scene,
) {
  return { at, ring, generation, kid: known.has(kid) ? kid : null }
}
