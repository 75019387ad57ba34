import { toRfc3339 } from '../clock.ts'
import type { RingName } from '../ring/key.ts'
import type { SerializedEvent } from '../ring/key-store.ts'

/**
 * What a node remembers outside the database, so that a database that was set back cannot make anybody
 * forget it: the events, revocations above all, and the highest generation of each ring that it has
 * seen. Pure, apart from the contract of who keeps it.
 */

export type Generations = Readonly<Record<RingName, number>>

/** What is remembered. It only grows, except where an operator accepts a loss. */
export interface WitnessRecord {
  /** Which deployment it is about; null while that is not known. */
  readonly deployment: string | null
  /** In whose name that deployment issued when this began; for people who read it. */
  readonly issuer: string | null
  /**
   * Every event that was seen in the store, whole, so that it can be put back. Not revocations alone: a
   * revocation names the events that its writer knew, and without these it is not complete.
   */
  readonly events: readonly SerializedEvent[]
  /** The highest generation of each ring that was seen in the store. None of them is used again. */
  readonly generations: Generations
  /** Generations up to these are known to be lost, and an operator answered for it. */
  readonly lost: Generations
  /** What an operator let go, oldest first. */
  readonly accepted: readonly Acceptance[]
  /** Over all else, under a key of the deployment's secret (`witness-mac.ts`); null where there is none. */
  readonly mac: string | null
}

/** Somebody went on with an older store on purpose. */
export interface Acceptance {
  readonly at: number
  readonly actor: string
  readonly reason: string
  /** Whole, as this is all that is left of them. */
  readonly events: readonly SerializedEvent[]
  readonly generations: Generations
}

/**
 * Who keeps it: a file or Redis. Several processes share one and none loses what another added.
 * Every implementation passes `test/conformance/witness.ts`.
 *
 * Both methods reject with StoreUnavailable where it cannot be reached or written, and with
 * WitnessUnreadable where it is damaged: it is then never replaced.
 */
export interface Witness {
  /** Where it is, for people: a path, or a Redis. */
  readonly where: string
  /** Is it elsewhere, so that nobody wonders when it does not answer for a while? */
  readonly canBeAway: boolean
  /** Undefined where there is none. */
  read(): Promise<WitnessRecord | undefined>
  /**
   * Replaces it by what `change` makes of it, while nobody else does. `change` may be called several
   * times; one that returns what it was given writes nothing.
   */
  update(change: (before: WitnessRecord) => WitnessRecord): Promise<WitnessRecord>
}

export const NOTHING_WITNESSED: WitnessRecord = {
  deployment: null,
  issuer: null,
  events: [],
  generations: {},
  lost: {},
  accepted: [],
  mac: null,
}

/** What a store says, as far as a witness is concerned. */
export interface WitnessedFacts {
  /** Names of the deployment that the store is of, the present one first; none where it does not say. */
  readonly deployments: readonly string[]
  readonly issuer: string
  readonly events: readonly SerializedEvent[]
  readonly generations: Generations
  /** What events in the store give up: ids of records, and of generations (`givenUp`). */
  readonly given: readonly string[]
  /** Rings that this node keeps keys in: only there does a highest generation never leave. */
  readonly configured: readonly RingName[]
}

/** What a store lacks of what was witnessed. */
export interface Lack {
  readonly events: readonly SerializedEvent[]
  readonly generations: readonly MissingGeneration[]
}

export interface MissingGeneration {
  readonly ring: RingName
  /** The highest that was seen. */
  readonly seen: number
  /** The highest that the store has; 0 where it has none. */
  readonly stored: number
}

export interface WitnessedKey {
  readonly ring: RingName
  readonly generation: number
}

/** The highest generation of each ring. */
export function highestGenerations(keys: readonly WitnessedKey[]): Generations {
  return keys.reduce<Generations>((highest, key) => raised(highest, key), {})
}

/**
 * The same and what is new in the store. A ring that is no longer configured and has no key left has
 * ended in good order, so that its generations are not missed; they are still not used again.
 * @returns `before` itself where nothing is new
 */
export function witnessed(before: WitnessRecord, facts: WitnessedFacts): WitnessRecord {
  const known = new Set(before.events.map(({ id }) => id))
  const fresh = facts.events.filter(({ id }) => !known.has(id))
  const generations = largerOf(before.generations, facts.generations)
  const ended = Object.entries(before.generations).filter(
    ([ring]) => !(ring in facts.generations) && !facts.configured.includes(ring),
  )
  const lost = largerOf(before.lost, Object.fromEntries(ended))
  const [deployment = null] = facts.deployments
  const isNew =
    fresh.length > 0 ||
    generations !== before.generations ||
    lost !== before.lost ||
    (deployment !== null && deployment !== before.deployment) ||
    before.issuer === null
  if (!isNew) return before
  return {
    ...before,
    deployment: deployment ?? before.deployment,
    issuer: before.issuer ?? facts.issuer,
    events: [...before.events, ...fresh],
    generations,
    lost,
  }
}

/** What the store lacks; undefined where it is as new as the witness. */
export function lackOf(
  record: WitnessRecord,
  facts: Pick<WitnessedFacts, 'events' | 'generations' | 'given' | 'configured'>,
): Lack | undefined {
  const settled = new Set([...facts.events.map(({ id }) => id), ...facts.given])
  const events = record.events.filter(({ id }) => !settled.has(id))
  const lost = largerOf(record.lost, givenGenerations(facts.given))
  const generations = Object.entries(record.generations).flatMap(([ring, seen]) => {
    const has = facts.generations[ring] ?? 0
    const isMissed = facts.configured.includes(ring) && has < seen && (lost[ring] ?? 0) < seen
    return isMissed ? [{ ring, seen, stored: has }] : []
  })
  return unlessEmpty({ events, generations })
}

/** The lack itself; undefined where nothing is lacking. */
export function unlessEmpty(lack: Lack): Lack | undefined {
  return lack.events.length + lack.generations.length === 0 ? undefined : lack
}

/** Is the witness about another deployment than the store? Where one does not say, nobody can tell. */
export function isOfOtherDeployment(
  { deployment }: WitnessRecord,
  { deployments }: Pick<WitnessedFacts, 'deployments'>,
): boolean {
  return deployment !== null && deployments.length > 0 && !deployments.includes(deployment)
}

/**
 * What an event names that gives up what the store lacks: ids of records, and of generations in a form
 * of their own. Every node heeds it, whatever its own witness remembers.
 */
export function givenUp({ events, generations }: Lack): readonly string[] {
  return [
    ...events.map(({ id }) => id),
    ...generations.map(({ ring, seen }) => `${GENERATION}${ring}/${seen}`),
  ]
}

const GENERATION = 'generation/'

function givenGenerations(given: readonly string[]): Generations {
  return given
    .filter((id) => id.startsWith(GENERATION))
    .map((id) => ({
      ring: id.slice(GENERATION.length, id.lastIndexOf('/')),
      generation: Number(id.slice(id.lastIndexOf('/') + 1)),
    }))
    .reduce<Generations>(raised, {})
}

/** What an event gives up, in words. @example '2 missing events given up' */
export function givenWords(given: readonly string[]): string {
  const events = given.filter((id) => !id.startsWith(GENERATION)).length
  const lost = Object.entries(givenGenerations(given))
  return [
    ...(events > 0 ? [`${events} missing event${events === 1 ? '' : 's'} given up`] : []),
    ...lost.map(
      ([ring, generation]) =>
        `lost keys of ring ${ring}, no generation up to ${generation} is used again`,
    ),
  ].join('; ')
}

/**
 * An operator goes on with a store that is empty and so cannot keep the event that says it: what was is
 * no longer asked for, but kept, and the next deployment may have the witness.
 */
export function withAccepted(
  record: WitnessRecord,
  lack: Lack,
  by: Pick<Acceptance, 'at' | 'actor' | 'reason'>,
): WitnessRecord {
  const gone = new Set(lack.events.map(({ id }) => id))
  const generations = seenOf(lack.generations)
  return {
    ...record,
    deployment: null,
    events: record.events.filter(({ id }) => !gone.has(id)),
    lost: largerOf(record.lost, generations),
    accepted: [...record.accepted, { ...by, events: lack.events, generations }],
  }
}

/** @example '1 revocation, generation 7 of ring sig/RS256 (its newest is 5)' */
export function lackWords({ events, generations }: Lack): string {
  const revocations = events.filter(isRevocation).length
  const others = events.length - revocations
  const counted = (count: number, name: string) =>
    count > 0 ? [`${count} ${name}${count === 1 ? '' : 's'}`] : []
  const parts = [
    ...counted(revocations, 'revocation'),
    ...counted(others, revocations > 0 ? 'other event' : 'event'),
    ...generations.map(
      ({ ring, seen, stored }) =>
        `generation ${seen} of ring ${ring} (${stored === 0 ? 'it has none' : `its newest is ${stored}`})`,
    ),
  ]
  return parts.join(', ')
}

/** One line for each thing that is missing. */
export function lackLines({ events, generations }: Lack): readonly string[] {
  return [
    ...events.map(
      (event) =>
        `ring ${event.ring}: ${event.type}, recorded at ${toRfc3339(event.at)} (${event.id})`,
    ),
    ...generations.map(
      ({ ring, seen, stored }) =>
        `ring ${ring}: the keys of generation ${seen === stored + 1 ? seen : `${stored + 1} to ${seen}`}`,
    ),
  ]
}

/** By the id, which is authentic where the record is; the other values are for people. */
function isRevocation({ id }: SerializedEvent): boolean {
  return id.startsWith('revoke/') || id.startsWith('revoke-before/')
}

function seenOf(generations: readonly MissingGeneration[]): Generations {
  return Object.fromEntries(generations.map(({ ring, seen }) => [ring, seen]))
}

/** The larger of each; `a` itself where `b` raises none. */
function largerOf(a: Generations, b: Generations): Generations {
  return Object.entries(b).reduce((sum, [ring, generation]) => raised(sum, { ring, generation }), a)
}

function raised(highest: Generations, { ring, generation }: WitnessedKey): Generations {
  return generation > (highest[ring] ?? 0) ? { ...highest, [ring]: generation } : highest
}
