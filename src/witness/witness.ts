import { toRfc3339 } from '../clock.ts'
import type { RingName } from '../ring/key.ts'
import type { SerializedEvent } from '../ring/key-store.ts'

/**
 * Record of what a node has seen in the key store, kept outside the database so that restoring an
 * old database cannot undo it: the events, above all revocations, and the highest generation of
 * each ring. Pure, except for the contract of its stores.
 */

export type Generations = Readonly<Record<RingName, number>>

/** Content of a witness. Only grows, unless an operator accepts a loss. */
export interface WitnessRecord {
  /** Deployment of the record; null while it is not known. */
  readonly deployment: string | null
  /** Issuer of the deployment when the record was begun, for people who read it. */
  readonly issuer: string | null
  /**
   * Every event seen in the store, complete, so that it can be put back. Not only revocations,
   * because a revocation names the events that its writer knew and is incomplete without them.
   */
  readonly events: readonly SerializedEvent[]
  /**
   * The highest generation of each ring seen in the store. No generation up to it is used again.
   */
  readonly generations: Generations
  /** Generations up to these are known to be lost, accepted by an operator. */
  readonly lost: Generations
  /** Losses that operators accepted, oldest first. */
  readonly accepted: readonly Acceptance[]
  /**
   * MAC over all other fields, under a key of the deployment's secret (`witness-mac.ts`); null
   * without a secret.
   */
  readonly mac: string | null
}

/** An operator's decision to continue with an older store. */
export interface Acceptance {
  readonly at: number
  readonly actor: string
  readonly reason: string
  /** Complete events, because no other copy of them is left. */
  readonly events: readonly SerializedEvent[]
  readonly generations: Generations
}

/**
 * Store of a witness: a file or Redis. Several processes share it, and no process overwrites what
 * another added. Every implementation passes `test/conformance/witness.ts`.
 *
 * Both methods reject with StoreUnavailable if it cannot be reached or written, and with
 * WitnessUnreadable if it is damaged; a damaged witness is never replaced.
 */
export interface Witness {
  /** Place of the witness in words for people: a path, or a Redis. */
  readonly where: string
  /** True if the witness is on another machine and may be unavailable for a while. */
  readonly canBeAway: boolean
  /** @returns undefined if there is no witness */
  read(): Promise<WitnessRecord | undefined>
  /**
   * Replaces the record by the result of `change`, atomically. `change` may be called several
   * times; nothing is written if it returns its argument.
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

/** The facts of a store that concern a witness. */
export interface WitnessedFacts {
  /** Names of the store's deployment, the present one first; empty if the store does not tell. */
  readonly deployments: readonly string[]
  readonly issuer: string
  readonly events: readonly SerializedEvent[]
  readonly generations: Generations
  /** Losses that events in the store give up: ids of records and of generations (`givenUp`). */
  readonly given: readonly string[]
  /** Configured rings; only in these does the highest generation always stay in the store. */
  readonly configured: readonly RingName[]
}

/** Witnessed content that a store lacks. */
export interface Lack {
  readonly events: readonly SerializedEvent[]
  readonly generations: readonly MissingGeneration[]
}

export interface MissingGeneration {
  readonly ring: RingName
  /** The highest generation that was seen. */
  readonly seen: number
  /** The highest generation that the store has; 0 if it has none. */
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
 * Adds what is new in the store. The generations of a ring that is not configured any more and has
 * no key left are not missed, because the ring has ended in good order; they are still not used
 * again.
 * @returns `before` itself if nothing is new
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

/** Content that the store lacks; undefined if the store is as new as the witness. */
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

/** The lack itself; undefined if nothing is lacking. */
export function unlessEmpty(lack: Lack): Lack | undefined {
  return lack.events.length + lack.generations.length === 0 ? undefined : lack
}

/** True if witness and store name different deployments; false if one of them names none. */
export function isOfOtherDeployment(
  { deployment }: WitnessRecord,
  { deployments }: Pick<WitnessedFacts, 'deployments'>,
): boolean {
  return deployment !== null && deployments.length > 0 && !deployments.includes(deployment)
}

/**
 * Ids that an event `accept` names to give up a lack: ids of records, and generations in a form of
 * their own. Every node follows the event, whatever its own witness remembers.
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

/** True for an event `accept` by which no event is given up, but only generations of lost keys. */
export function hasOnlyGenerations(given: readonly string[]): boolean {
  return given.every((id) => id.startsWith(GENERATION))
}

/** Words for the losses that an event gives up. @example '2 missing events given up' */
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
 * Records that an operator accepts an empty store, which cannot keep an event about it. The old
 * content is kept but not missed any more, and the next deployment may use the witness.
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

/** Lines for people, each with a missing event or generation. */
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

/** Decides by the id, which is authentic if the record is; the other values are for people. */
function isRevocation({ id }: SerializedEvent): boolean {
  return id.startsWith('revoke/') || id.startsWith('revoke-before/')
}

function seenOf(generations: readonly MissingGeneration[]): Generations {
  return Object.fromEntries(generations.map(({ ring, seen }) => [ring, seen]))
}

/** The larger generation of each ring; `a` itself if `b` raises none. */
function largerOf(a: Generations, b: Generations): Generations {
  return Object.entries(b).reduce((sum, [ring, generation]) => raised(sum, { ring, generation }), a)
}

function raised(highest: Generations, { ring, generation }: WitnessedKey): Generations {
  return generation > (highest[ring] ?? 0) ? { ...highest, [ring]: generation } : highest
}
