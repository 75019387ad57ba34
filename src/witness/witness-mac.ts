import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { IssuerSecret } from '../ring/deployment.ts'
import { WitnessUnreadable } from '../ring/witness-errors.ts'
import { NOTHING_WITNESSED, type Witness, type WitnessRecord } from './witness.ts'

/**
 * Authenticates a witness, because write access to Redis would otherwise be enough to make every
 * start fail, or to use up all generations of a ring. A witness under a secret that was given up is
 * ignored: its MAC cannot be checked any more, and its events are not trusted either.
 */

/** Reads and changes a witness in the name of a deployment. */
export interface AuthenticWitness {
  /**
   * @returns undefined if there is no witness, or only an ignored one. @throws WitnessUnreadable if
   * the MAC is wrong, and the errors of `Witness.read`
   */
  read(): Promise<WitnessRecord | undefined>
  /** @throws WitnessUnreadable if the MAC is wrong, and the errors of `Witness.update` */
  update(change: (before: WitnessRecord) => WitnessRecord): Promise<WitnessRecord>
}

/** @param deployment undefined if the key store is empty, so that no MAC can be made or checked */
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
    throw new WitnessUnreadable(witness.where, 'its MAC is wrong: somebody edited it')
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

/** HMAC with SHA-256 over the values in a fixed order, independent of their text form. */
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
