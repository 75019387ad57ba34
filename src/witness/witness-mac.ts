import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { WitnessUnreadable } from '../errors.ts'
import type { IssuerSecret } from '../ring/deployment.ts'
import { NOTHING_WITNESSED, type Witness, type WitnessRecord } from './witness.ts'

/**
 * A witness is authenticated, because who can write Redis could otherwise make every start be refused,
 * or use up all generations of a ring. One of a secret that was given up says nothing: nobody can check
 * it any more, and its events are no longer believed either.
 */

/** Reads and changes a witness in the name of a deployment. */
export interface AuthenticWitness {
  /** Undefined where there is none that says anything. @throws WitnessUnreadable where the MAC does not fit, and what `read` of the witness throws */
  read(): Promise<WitnessRecord | undefined>
  /** @throws the same */
  update(change: (before: WitnessRecord) => WitnessRecord): Promise<WitnessRecord>
}

/** @param deployment undefined where the key store is empty, so that nobody can vouch for anything */
export function authenticWitness(
  witness: Witness,
  deployment: IssuerSecret | undefined,
): AuthenticWitness {
  const key = deployment?.key('witness')
  const isOurs = (record: WitnessRecord) =>
    deployment !== undefined && record.deployment === deployment.kid
  const checked = (record: WitnessRecord) => {
    if (deployment?.former.includes(record.deployment ?? '')) return undefined
    if (!key || !isOurs(record) || isGenuine(record, key)) return record
    throw new WitnessUnreadable(witness.where, 'its MAC does not fit: somebody edited it')
  }
  return {
    read: async () => {
      const record = await witness.read()
      return record && checked(record)
    },
    update: (change) =>
      witness.update((before) => {
        const after = change(checked(before) ?? NOTHING_WITNESSED)
        if (after === before) return before
        return { ...after, mac: key && isOurs(after) ? macOf(after, key) : null }
      }),
  }
}

function isGenuine(record: WitnessRecord, key: KeyObject): boolean {
  const [given, wanted] = [record.mac ?? '', macOf(record, key)].map((mac) => Buffer.from(mac))
  return given?.length === wanted?.length && timingSafeEqual(given ?? EMPTY, wanted ?? EMPTY)
}

const EMPTY = Buffer.alloc(0)

/** HMAC with SHA-256 over the values in an order of their own, so that no text form matters. */
function macOf(record: WitnessRecord, key: KeyObject): string {
  const ordered = (generations: Readonly<Record<string, number>>) =>
    Object.entries(generations).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const events = (list: WitnessRecord['events']) =>
    list.map(({ id, ring, type, at, data }) => [id, ring, type, at, data])
  const values = [
    record.deployment,
    record.issuer,
    events(record.events),
    ordered(record.generations),
    ordered(record.lost),
    record.accepted.map(({ at, actor, reason, ...gone }) => [
      at,
      actor,
      reason,
      events(gone.events),
      ordered(gone.generations),
    ]),
  ]
  return createHmac('sha256', key).update(JSON.stringify(values)).digest('base64url')
}
