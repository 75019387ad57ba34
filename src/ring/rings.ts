import type { Action, CreateAction, EventAction } from './action.ts'
import { mayDo } from './destruction.ts'
import type { KeyEvent } from './key.ts'
import type { KeyStore, SerializedKey, StoredRings } from './key-store.ts'
import { assertComplete, type LoadedRings, type OpenedKeys, openRecords } from './loaded-rings.ts'
import { together } from './lost.ts'
import { plan } from './plan.ts'
import type { RotationPolicies } from './policy.ts'
import { applyAction, type Done } from './rotate.ts'
import type { Sealer } from './sealer.ts'

/**
 * The rings of one deployment as this process has them: the one owner of what was loaded (facts), of
 * what could be put back into a store that loses it (records), and of the keys that are open. Whoever
 * loads, turns or changes rings asks here, be it a server for years or a command once.
 */
export interface Rings {
  /** What turns keys and events into records and back, for this deployment. */
  readonly sealer: Sealer
  /**
   * Opens everything in the store; a key that was open before is not opened again.
   * @throws StoreUnavailable, StoreUnreadable, KekMissing, SealBroken. A key that cannot be opened is
   *   an error and never replaced; only a revoked one may stay closed, as nobody needs it.
   */
  load(): Promise<LoadedRings>
  /**
   * The same with keys that do not open, which is enough to revoke one.
   * @throws StoreUnavailable, StoreUnreadable
   */
  loadRecorded(): Promise<LoadedRings>
  /** The events alone, for which no key has to open. @throws StoreUnavailable, StoreUnreadable */
  loadEvents(): Promise<readonly KeyEvent[]>
  /**
   * Does what the plan says at an instant, as far as this process may (`destruction.ts`), and loads
   * the rings again where it did anything. Nodes and commands may do it at once: every action is safe
   * to do twice.
   * @throws StoreIncomplete, and what `load` throws
   */
  turn(loaded: LoadedRings, options: TurnOptions): Promise<Turn>
  /**
   * Does one action that an operator ordered. Erasing and deleting are left to `turn`, which asks
   * whether they are allowed (`destruction.ts`).
   * @throws StoreUnavailable
   */
  apply(
    action: EventAction | CreateAction,
    facts: Pick<LoadedRings, 'keys' | 'heads'>,
  ): Promise<Done>

  /** The keys at hand, which this process publishes and signs with; undefined before the first. */
  readonly facts: LoadedRings | undefined
  /** From now on these are the keys at hand. */
  hold(facts: LoadedRings): void
  /** Records as of the last complete load, and what was added since. */
  readonly records: StoredRings
  /** A load was complete: from now on its records are what a store is held against. */
  remember(complete: LoadedRings): void
  /** Has this process seen the key without its private half? No key ever gets it back. */
  wasErased(kid: string): boolean
  /**
   * Adds records again that a store has lost.
   * @returns those whose place another key has taken meanwhile, with the kid of that key
   * @throws StoreUnavailable
   */
  putBack(lost: StoredRings): Promise<readonly Displaced[]>
}

/** A lost key whose place another one has taken. */
export interface Displaced {
  readonly record: SerializedKey
  /** kid of the key that has its place. */
  readonly by: string
}

/** What a turn has done. */
export interface Turn {
  readonly facts: LoadedRings
  /** What could not be planned and why. */
  readonly warnings: readonly string[]
}

export interface TurnOptions {
  readonly policies: RotationPolicies
  /** Seconds since the epoch. */
  readonly now: number
  /** Has this process watched its clock for long enough to destroy by it (`destruction.ts`)? */
  readonly isClockSettled: boolean
  /** Called after each action. */
  readonly onDone?: (action: Action, isOurs: boolean) => void
}

/** Rings of a store; nothing is loaded yet. */
export function createRings({ store, sealer }: { store: KeyStore; sealer: Sealer }): Rings {
  const opened: OpenedKeys = new Map()
  const erased = new Set<string>()
  let facts: LoadedRings | undefined
  let records: StoredRings = { keys: [], events: [] }

  const open = async () => openRecords(await store.load(), sealer, opened)

  async function loadRecorded(): Promise<LoadedRings> {
    const loaded = await open()
    // A store that is no database may have been read while both an event and one that names it came.
    return loaded.missing.length === 0 ? loaded : open()
  }

  async function load(): Promise<LoadedRings> {
    const loaded = await loadRecorded()
    if (loaded.failures[0]) throw loaded.failures[0]
    return loaded
  }

  function remember(complete: LoadedRings): void {
    records = complete.records
    for (const { kid, hasPrivateHalf, isOpen } of complete.keys) {
      if (isOpen && !hasPrivateHalf) erased.add(kid)
    }
  }

  async function turn(loaded: LoadedRings, options: TurnOptions): Promise<Turn> {
    const before = assertComplete(loaded)
    const { actions, warnings } = plan(before, options.policies, options.now)
    const allowed = actions.filter((action) => mayDo(action, before, options))
    let { heads } = before
    for (const action of allowed) {
      const done = await applyAction(action, { ...before, heads }, { store, sealer })
      heads = done.heads
      options.onDone?.(action, done.isOurs)
    }
    if (allowed.length === 0) return { facts: before, warnings }
    const after = await load()
    const known = records
    remember(after)
    // What the store lost between the two loads is put back at the next.
    records = {
      keys: together(known.keys, records.keys),
      events: together(known.events, records.events),
    }
    return { facts: after, warnings }
  }

  return {
    sealer,
    load,
    loadRecorded,
    loadEvents: async () => (await sealer.openEvents((await store.load()).events)).events,
    turn,
    apply: (action, at) => applyAction(action, at, { store, sealer }),
    get facts() {
      return facts
    },
    hold: (held) => {
      facts = held
    },
    get records() {
      return records
    },
    remember,
    wasErased: (kid) => erased.has(kid),
    putBack: (lost) => putBack(store, lost),
  }
}

async function putBack(
  store: KeyStore,
  { keys, events }: StoredRings,
): Promise<readonly Displaced[]> {
  const displaced: Displaced[] = []
  for (const record of keys) {
    const { id: by } = await store.addKey(record)
    if (by !== record.id) displaced.push({ record, by })
  }
  if (events.length > 0) await store.addEvents(events)
  return displaced
}
