import { StoreUnreadable } from '../errors.ts'
import type { RingView } from './jwks.ts'
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
  /** Keys that are open, brought up to date by each load: no more than a cache. */
  readonly opened: OpenedKeys
}

/**
 * Loads the rings as `loadRings` does, for a server that has loaded them before: a store that was
 * emptied is an error, and what it has lost of its facts is added again.
 */
export function createWatchfulLoad(options: WatchfulLoadOptions) {
  const { store, sealer, policies, log, opened } = options
  /** As they were when a load was last complete. What could not be added again is tried once more. */
  let known: StoredRings = { keys: [], events: [] }

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

  const opensNow = () => [...opened.values()].map(({ record }) => record)

  async function load(now: number, view: RingView | undefined): Promise<RingFacts<RingKey>> {
    const states = view?.states ?? []
    const facts = await loadRings(store, sealer, opened)
    if (states.length > 0 && facts.keys.length === 0) {
      throw new StoreUnreadable(
        'The key store was emptied while the server ran: is its directory or database still ' +
          'there? Nothing is made in its place, and the keys in use stay in use.',
      )
    }
    const kids = facts.keys.map((key) => key.kid)
    const loaded = { kids, events: facts.events }
    const lost = lostFacts({ ...known, states }, loaded, { policies, now })
    const isComplete = lost.keys.length + lost.events.length === 0
    const complete = isComplete ? facts : await restore(lost)
    known = { keys: opensNow(), events: complete.events }
    return complete
  }

  return {
    load,
    /** A turn has added what was not there at its load. */
    note: ({ events }: RingFacts<RingKey>): void => {
      known = { keys: together(known.keys, opensNow()), events: together(known.events, events) }
    },
  }
}

/** All of both, each once. */
export function together<T extends { readonly id: string }>(
  known: readonly T[],
  added: readonly T[],
): readonly T[] {
  const ids = new Set(known.map(({ id }) => id))
  return [...known, ...added.filter(({ id }) => !ids.has(id))]
}
