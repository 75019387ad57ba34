import { randomBytes } from 'node:crypto'
import { NotFound, Refused } from '../errors.ts'
import { secondsOf, ticksOf } from '../values/ticks.ts'
import type { KeyFacts } from './default-key.ts'
import type { Certificate } from './encrypted-xml.ts'
import { KeyRingUnreadable } from './errors.ts'
import { newGuid, readGuid } from './guid.ts'
import {
  keyElement,
  type NewKeyAlgorithms,
  revocationElement,
  revocationOfAllElement,
} from './key-element.ts'
import { infoOf, type KeyInfo } from './key-ring.ts'
import { checkPolicy, DEFAULT_POLICY, planKeyRing, type RingPlan, type RingPolicy } from './plan.ts'
import type { RingProblem } from './problem.ts'
import { createAssembler, factsOf, isWhole, type Ring } from './ring.ts'
import type { NewElement, RingStore } from './ring-store.ts'
import { SECRET_BYTES } from './secret.ts'

/**
 * Keeper of a ring: makes its keys, together with other keepers of the same ring. The caller
 * decides when to look.
 */
export interface RingKeeper {
  /**
   * Looks once and makes the key that is due. Once an hour is enough, because a key is due a week
   * before the keeper is late.
   * @throws KeyRingUnreadable; the next look then makes the key that is due
   */
  look(): Promise<RingReport>
  /**
   * Revokes a key, after a successor is in the store. A repetition changes nothing.
   * @throws NotFound; Refused; KeyRingUnreadable, after which the revocation may be done in part:
   * repeat it
   */
  revoke(id: string, reason?: string): Promise<Revoked>
  /**
   * Revokes all keys that were created before an instant. Default: now. No later instant is
   * allowed.
   * @throws the errors of {@link revoke}, and TypeError for a later instant
   */
  revokeAll(reason?: string, createdBefore?: Date): Promise<Revoked>
  close(): Promise<void>
}

/** A ring after a look. Instants are seconds since the epoch. */
export interface RingReport {
  readonly keys: readonly KeyInfo[]
  readonly problems: readonly RingProblem[]
  /** Id of the key that this keeper made. */
  readonly made: string | undefined
  /** Reason why a key that is due is not made. */
  readonly blocked: RingPlan['blocked']
  /** True if less than the policy's `notice` is left until the applications cannot go on. */
  readonly late: boolean
  /** Instant at which a key is due. */
  readonly dueAt: number
  /** Instant from which the keeper is late, unless a key is made before. */
  readonly lateAt: number
  /** Instant at which the applications cannot go on, because the ring lacks a default key. */
  readonly endsAt: number
}

/** Result of a revocation. */
export interface Revoked {
  /** Ids of the keys that the revocation revokes. */
  readonly revoked: readonly string[]
  /** False if all of them were revoked before. */
  readonly isNew: boolean
  /**
   * Ids of the keys that were made as replacements, first the one that protects now; empty if other
   * keys replace the revoked ones.
   */
  readonly successors: readonly string[]
  /**
   * Instant, in seconds since the epoch, until which processes that were not restarted may still
   * use the revoked keys.
   */
  readonly knownEverywhereAt: number
}

export interface KeeperOptions {
  readonly store: RingStore
  /**
   * Certificates. New secrets are encrypted for the first one; without any, they are stored in
   * clear.
   */
  readonly certificates?: readonly Certificate[]
  readonly algorithms?: NewKeyAlgorithms
  readonly policy?: RingPolicy
  readonly now: () => Date
}

/** Seconds after which each process of ASP.NET Core has read the ring again (reference, 2.4). */
export const REFRESH = 86_400
/** Most looks in a row at a ring that others change meanwhile. */
const ATTEMPTS = 8

/** Makes a keeper. @throws TypeError for a policy that cannot work */
export function createKeeper(options: KeeperOptions): RingKeeper {
  const { store, certificates = [], policy = DEFAULT_POLICY, now } = options
  checkPolicy(policy)
  const assemble = createAssembler(certificates)
  let hadKeys = false

  const read = async () => {
    const { elements, version } = await store.read()
    const ring = assemble(elements)
    if (hadKeys && ring.keys.length === 0) throw emptied(store.where)
    hadKeys ||= ring.keys.length > 0
    return { ring, version }
  }

  const planNow = (ring: Ring, keys: readonly KeyFacts[] = factsOf(ring)) => {
    const { revokedBefore } = ring
    return planKeyRing({ keys, revokedBefore, isWhole: isWhole(ring) }, policy, ticksOf(now()))
  }

  const look = async (): Promise<RingReport> => {
    let made: string | undefined
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { ring, version } = await read()
      const plan = planNow(ring)
      const key = newKey(plan, options)
      if (!key) return { ...reportOf(ring, plan), made }
      if (await store.append(key.element, version)) made = key.id
    }
    throw restless(store.where)
  }

  /**
   * Adds successors and then the revocation.
   * @param target ids to revoke, and the element that revokes them
   */
  const revoke = async (
    target: (ring: Ring) => { ids: readonly string[]; element: NewElement },
  ): Promise<Revoked> => {
    const successors: string[] = []
    const known = () => ({ knownEverywhereAt: secondsOf(ticksOf(now())) + REFRESH })
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { ring, version } = await read()
      const { ids, element } = target(ring)
      const revoked = ring.keys.filter(({ id }) => ids.includes(id))
      if (revoked.every((key) => key.revoked)) {
        return { revoked: ids, isNew: attempt > 0, successors, ...known() }
      }
      const after = factsOf(ring).map((key) =>
        ids.includes(key.id) ? { ...key, revoked: true } : key,
      )
      const plan = planNow(ring, after)
      if (plan.blocked) throw cannotRevoke(plan.blocked)
      const key = newKey(plan, options)
      if (key) {
        if (await store.append(key.element, version)) successors.push(key.id)
      } else if (await store.append(element, version)) {
        return { revoked: ids, isNew: true, successors, ...known() }
      }
    }
    throw restless(store.where)
  }

  return {
    look,
    revoke: (text, reason = '') =>
      revoke((ring) => {
        const id = readGuid(text)
        if (!id || !ring.keys.some((key) => key.id === id)) throw unknownKey(store.where)
        return { ids: [id], element: revocationElement(id, ticksOf(now()), reason) }
      }),
    revokeAll: async (reason = '', createdBefore = now()) => {
      const before = ticksOf(createdBefore)
      // A key that is made before that instant would be revoked from the beginning.
      if (before > ticksOf(now())) throw new TypeError('createdBefore is in the future')
      return revoke((ring) => ({
        ids: ring.keys.filter(({ createdAt }) => createdAt < before).map(({ id }) => id),
        element: revocationOfAllElement(before, reason),
      }))
    },
    close: () => store.close(),
  }
}

/** Makes the key that is due by a plan; undefined if none is due. */
function newKey(
  { make }: RingPlan,
  { certificates = [], algorithms }: Pick<KeeperOptions, 'certificates' | 'algorithms'>,
): { id: string; element: NewElement } | undefined {
  if (!make) return undefined
  const { idBelow, ...dates } = make
  const id = newGuid(idBelow)
  const secret = randomBytes(SECRET_BYTES)
  const certificate = certificates[0]?.certificate
  const key = { ...dates, id, secret, certificate, ...(algorithms ? { algorithms } : {}) }
  return { id, element: keyElement(key) }
}

function reportOf(ring: Ring, plan: RingPlan): Omit<RingReport, 'made'> {
  return {
    keys: ring.keys.map(infoOf),
    problems: ring.problems(),
    blocked: plan.blocked,
    late: plan.late,
    dueAt: secondsOf(plan.dueAt),
    lateAt: secondsOf(plan.lateAt),
    endsAt: secondsOf(plan.endsAt),
  }
}

function emptied(where: string): KeyRingUnreadable {
  return new KeyRingUnreadable(
    'ring_emptied',
    `The key ring ${where} had keys and has none any more. No key is made, because the old ones may come back. ` +
      'Restore it from a backup; where its keys are lost for good, restart the keeper and it begins anew.',
  )
}

function restless(where: string): KeyRingUnreadable {
  return new KeyRingUnreadable(
    'ring_unavailable',
    `The key ring ${where} was changed by others each time something was to be added. Try again.`,
  )
}

function unknownKey(where: string): NotFound {
  return new NotFound('ring_key_not_found', { where }, `The key ring ${where} has no such key.`)
}

function cannotRevoke(blocked: NonNullable<RingPlan['blocked']>): Refused {
  const why = {
    elements_unreadable:
      'the ring has elements that cannot be read: see its problems and mend them',
    revoked_in_the_future:
      'a revocation of all keys is dated in the future, so that each key made until then is revoked too: ' +
      'remove it, or wait until its date',
  }[blocked]
  const message = `No successor can be made, so nothing was revoked: ${why}.`
  return new Refused('no_successor', { blocked }, message)
}
