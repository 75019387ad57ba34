import { DeploymentSecretReplaced, StoreUnreadable } from '../errors.ts'
import type { KeyStore, StoredRings } from './key-store.ts'
import { lostFacts, together } from './lost.ts'
import type { RotationPolicies } from './policy.ts'
import type { RingLog } from './ring-log.ts'
import { assertComplete, type LoadedRings, loadRings, type OpenedKeys } from './rotate.ts'
import type { Sealer } from './sealer.ts'
import type { RingView } from './view.ts'
import type { WitnessHook } from './witness-hook.ts'

export interface WatchfulLoadOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly policies: RotationPolicies
  readonly log: Pick<RingLog, 'error'>
  /** Remembers outside the store; undefined where nobody does. */
  readonly witness?: WitnessHook | undefined
  /** Keys that are open, brought up to date by each load: no more than a cache. */
  readonly opened: OpenedKeys
}

/**
 * Loads the rings as `loadRings` does, for a server that has loaded them before: a store that was
 * emptied is an error, and what it has lost of its facts is added again. What somebody else changed
 * in the store is told.
 */
export function createWatchfulLoad(options: WatchfulLoadOptions) {
  const { store, sealer, policies, log, opened, witness } = options
  /** As they were when a load was last complete. What could not be added again is tried once more. */
  let known: StoredRings = { keys: [], events: [] }
  /** Kids of keys without a private half: none ever gets it back. */
  const erased = new Set<string>()
  let told: readonly string[] = []
  let hadDeployment = false

  async function restore({ keys, events }: StoredRings): Promise<LoadedRings> {
    const lost = { kids: keys.map((key) => key.id), events: events.map((event) => event.id) }
    log.error(lost, 'the key store has lost what this node knows; it is added again')
    for (const key of keys) {
      const { id, ring, generation } = key
      const stored = await store.addKey(key)
      if (stored.id === id) continue
      const data = { kid: id, ring, generation }
      log.error(
        data,
        'another key has the place of a lost one, whose tokens are refused from now on',
      )
    }
    if (events.length > 0) await store.addEvents(events)
    return loadRings(store, sealer, opened)
  }

  /** The secret without which no event is genuine. @throws DeploymentSecretReplaced */
  async function restoreDeployment(): Promise<void> {
    const { record } = sealer.deployment
    log.error(
      { kid: record.id },
      'the key store has lost the secret of the deployment; it is added again',
    )
    const stored = await store.addKey(record)
    if (stored.id !== record.id) throw new DeploymentSecretReplaced(stored.id)
  }

  const opensNow = () => [...opened.values()].map(({ record }) => record)

  async function load(now: number, view: RingView | undefined): Promise<LoadedRings> {
    const states = view?.states ?? []
    const read = () => loadRings(store, sealer, opened)
    const facts = witness ? await witness.load(sealer, read) : await read()
    if (states.length > 0 && facts.keys.length === 0) {
      throw new StoreUnreadable(
        'The key store was emptied while the server ran: is its directory or database still ' +
          'there? Nothing is made in its place, and the keys in use stay in use.',
      )
    }
    if (hadDeployment && !facts.hasDeployment) await restoreDeployment()
    hadDeployment ||= facts.hasDeployment
    const kids = facts.keys.map((key) => key.kid)
    const loaded = { kids, events: facts.records.map(({ id }) => id) }
    const lost = lostFacts({ ...known, states }, loaded, { policies, now })
    const isWhole = lost.keys.length + lost.events.length === 0
    const { seenGenerations = {} } = facts
    const complete = assertComplete(isWhole ? facts : { ...(await restore(lost)), seenGenerations })
    tell(complete)
    remember(complete)
    return complete
  }

  /** Says what somebody who writes the store has done to it. */
  function tell({ keys, forged }: LoadedRings): void {
    const fresh = forged.filter((id) => !told.includes(id))
    if (fresh.length > 0) {
      const data = { events: fresh.slice(0, TOLD_MAX), count: fresh.length }
      log.error(data, 'the key store has events that fail their check; they are not followed')
    }
    told = forged
    for (const { kid, ring } of keys.filter((key) => key.hasPrivateHalf && erased.has(key.kid))) {
      log.error(
        { ring, kid },
        'the private half of a key was erased and is in the key store again, because somebody put an ' +
          'older record back; it is erased once more',
      )
    }
  }

  function remember({ keys, records }: LoadedRings): void {
    known = { keys: opensNow(), events: records }
    for (const { kid, hasPrivateHalf, isOpen } of keys) {
      if (isOpen && !hasPrivateHalf) erased.add(kid)
    }
  }

  return {
    load,
    /** A turn has added what was not there at its load. */
    note: (turned: LoadedRings): void => {
      const before = known
      remember(turned)
      known = {
        keys: together(before.keys, known.keys),
        events: together(before.events, known.events),
      }
    },
  }
}

/** Most ids of forged events in one line of the log. */
const TOLD_MAX = 10
