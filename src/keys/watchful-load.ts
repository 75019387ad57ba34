import { StoreUnreadable } from '../errors.ts'
import type { RingView } from './jwks.ts'
import type { KeyEvent } from './key.ts'
import type { KeyStore, StoredRings } from './key-store.ts'
import type { RingFacts } from './lifecycle.ts'
import { lostFacts } from './lost.ts'
import type { RotationPolicies } from './policy.ts'
import { loadRings, type OpenedKeys } from './rotate.ts'
import type { SchedulerLog } from './scheduler.ts'
import type { RingKey, Sealer } from './seal.ts'

export interface WatchfulLoadOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly policies: RotationPolicies
  readonly log: Pick<SchedulerLog, 'error'>
  /** Keys that are open, brought up to date by each load. */
  readonly opened: OpenedKeys
}

/**
 * Loads the rings as `loadRings` does, for a server that has loaded them before: a store that was
 * emptied is an error, and what it has lost of its facts is added again.
 * @returns a function of `now` and of the view before
 */
export function createWatchfulLoad(options: WatchfulLoadOptions) {
  const { store, sealer, policies, log, opened } = options
  let knownEvents: readonly KeyEvent[] = []

  async function restore({ keys, events }: StoredRings): Promise<RingFacts<RingKey>> {
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

  return async (now: number, view: RingView | undefined): Promise<RingFacts<RingKey>> => {
    const known = {
      keys: [...opened.values()].map(({ record }) => record),
      events: knownEvents,
      states: view?.states ?? [],
    }
    const facts = await loadRings(store, sealer, opened)
    if (known.states.length > 0 && facts.keys.length === 0) {
      throw new StoreUnreadable(
        'The key store was emptied while the server ran: is its directory or database still ' +
          'there? Nothing is made in its place, and the keys in use stay in use.',
      )
    }
    const kids = facts.keys.map((key) => key.kid)
    const lost = lostFacts(known, { kids, events: facts.events }, { policies, now })
    const isComplete = lost.keys.length + lost.events.length === 0
    const complete = isComplete ? facts : await restore(lost)
    knownEvents = complete.events
    return complete
  }
}
