import type { LoadedRings } from '../ring/loaded-rings.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { Sealer } from '../ring/sealer.ts'
import { WitnessOfAnother, WitnessUnreadable } from '../ring/witness-errors.ts'
import {
  highestGenerations,
  isOfOtherDeployment,
  type Lack,
  lackOf,
  unlessEmpty,
  type WitnessedFacts,
  type WitnessRecord,
} from './witness.ts'

/** Comparison of the key store with the record of the witness. */

/**
 * The facts of the store that are compared with the witness. The generation of a key that does not
 * open may be forged, and is trusted only if an event confirms it.
 */
export function witnessedFacts(
  facts: LoadedRings,
  { deployment }: Pick<Sealer, 'deployment'>,
  { issuer, policies }: { readonly issuer: string; readonly policies: RotationPolicies },
): WitnessedFacts {
  return {
    deployments: [deployment.kid, ...deployment.former],
    issuer,
    events: facts.records.events,
    generations: highestGenerations(facts.keys.filter((key) => !key.isUnplaced)),
    given: facts.events.flatMap((event) => (event.type === 'accept' ? event.missing : [])),
    configured: policies.rings.map(({ ring }) => ring),
  }
}

/**
 * Compares the store with the record: the lack of the store, genuine events only.
 * @throws WitnessOfAnother, WitnessUnreadable if the record is not of this deployment
 */
export async function lackIn(
  facts: LoadedRings,
  record: WitnessRecord,
  options: {
    readonly sealer: Sealer
    readonly issuer: string
    readonly policies: RotationPolicies
    /** Description of the witness. */
    readonly where: string
  },
): Promise<Lack | undefined> {
  const { sealer, where } = options
  const hasKeys = facts.keys.length > 0
  const seen = witnessedFacts(facts, sealer, options)
  assertOurs(record, { hasKeys, seen }, where)
  if (hasKeys) assertOfSomebody(record, where)
  return genuineLack(lackOf(record, seen), sealer)
}

/**
 * A witness that is removed is warned of at the next start. One that somebody emptied says
 * as little, and must not pass for whole.
 * @throws WitnessUnreadable
 */
export function assertOfSomebody({ deployment }: WitnessRecord, where: string): void {
  if (deployment !== null) return
  throw new WitnessUnreadable(where, 'it does not say which deployment it is of')
}

/** True if a record has content and no deployment, so that its MAC cannot be checked. */
function isUnbound({ deployment, events, generations }: WitnessRecord): boolean {
  return deployment === null && events.length + Object.keys(generations).length > 0
}

/** The lack without events that are not genuine, or that were given up with a secret. */
export async function genuineLack(
  lack: Lack | undefined,
  { openEvents }: Pick<Sealer, 'openEvents'>,
): Promise<Lack | undefined> {
  return lack && unlessEmpty({ ...lack, events: (await openEvents(lack.events)).records })
}

/**
 * Refuses a record that is not of this deployment.
 * @param where description of the witness
 * @throws WitnessOfAnother, WitnessUnreadable
 */
export function assertOurs(
  record: WitnessRecord,
  { hasKeys, seen }: { readonly hasKeys: boolean; readonly seen: WitnessedFacts },
  where: string,
): void {
  if (isOfOtherDeployment(record, seen)) throw new WitnessOfAnother(where, record.issuer)
  // After an accepted loss the witness has no deployment until the first keys are made.
  if (isUnbound(record) && hasKeys) assertOfSomebody(record, where)
}

/** The lack of an empty store. */
export function lackOfEverything(record: WitnessRecord): Lack | undefined {
  const configured = Object.keys(record.generations)
  return lackOf(record, { events: [], generations: {}, given: [], configured })
}
