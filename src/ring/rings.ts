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
 * The rings of one deployment in this process: the one owner of the loaded facts, of the records
 * that can be added again to a store that loses them, and of the open keys. A server keeps one for
 * years, a command makes one for one order.
 */
export interface Rings {
  /** The sealer of this deployment. */
  readonly sealer: Sealer
  /**
   * Opens everything in the store. A key that was open before is not opened again.
   * @throws StoreUnavailable, StoreUnreadable, KekMissing, SealBroken. A key that cannot be opened
   * is an error and is never replaced, unless it is revoked, because nobody needs a revoked key.
   */
  load(): Promise<LoadedRings>
  /**
   * Loads like `load`, but tolerates keys that do not open, because they can still be revoked.
   * @throws StoreUnavailable, StoreUnreadable
   */
  loadRecorded(): Promise<LoadedRings>
  /**
   * Loads the events alone, for which no key has to open. @throws StoreUnavailable, StoreUnreadable
   */
  loadEvents(): Promise<readonly KeyEvent[]>
  /**
   * Applies the plan of an instant, as far as this process may (`destruction.ts`), and loads the
   * rings again after any action. Nodes and commands may do it at once, because every action is
   * safe to do twice.
   * @throws StoreIncomplete, and what `load` throws
   */
  turn(loaded: LoadedRings, options: TurnOptions): Promise<Turn>
  /**
   * Applies one action that an operator ordered. Erasing and deleting are left to `turn`, which
   * asks whether they are allowed (`destruction.ts`).
   * @throws StoreUnavailable
   */
  apply(
    action: EventAction | CreateAction,
    facts: Pick<LoadedRings, 'keys' | 'heads'>,
  ): Promise<Done>

  /**
   * The keys at hand, which this process publishes and signs with; undefined before the first
   * `hold`.
   */
  readonly facts: LoadedRings | undefined
  /** Makes facts the keys at hand. */
  hold(facts: LoadedRings): void
  /** Records of the last complete load, and those added since. */
  readonly records: StoredRings
  /** Keeps the records of a complete load, with which a store is compared from now on. */
  remember(complete: LoadedRings): void
  /** True if this process has seen the key without its private half. No key ever gets it back. */
  wasErased(kid: string): boolean
  /**
   * Adds records again that a store has lost.
   * @returns lost keys whose place another key has taken meanwhile
   * @throws StoreUnavailable
   */
  putBack(lost: StoredRings): Promise<readonly Displaced[]>
}

/** A lost key whose place another key has taken. */
export interface Displaced {
  readonly record: SerializedKey
  /** kid of the key that has taken the place. */
  readonly by: string
}

/** Result of a turn. */
export interface Turn {
  readonly facts: LoadedRings
  /** Steps that could not be planned, each with its reason. */
  readonly warnings: readonly string[]
}

export interface TurnOptions {
  readonly policies: RotationPolicies
  /** Seconds since the epoch. */
  readonly now: number
  /**
   * True if this process has watched its clock for long enough to destroy keys by it
   * (`destruction.ts`).
   */
  readonly isClockSettled: boolean
  /** Called after each action. */
  readonly onDone?: (action: Action, isOurs: boolean) => void
}

/** Makes the rings of a store without loading them. */
export function createRings({ store, sealer }: { store: KeyStore; sealer: Sealer }): Rings {
  const opened: OpenedKeys = new Map()
  const erased = new Set<string>()
  let facts: LoadedRings | undefined
  let records: StoredRings = { keys: [], events: [] }

  const open = async () => openRecords(await store.load(), sealer, opened)

  async function loadRecorded(): Promise<LoadedRings> {
    const loaded = await open()
    // A store other than a database may be read between an event and another event that names it.
    return loaded.missing.length === 0 ? loaded : open()
  }

  async function load(): Promise<LoadedRings> {
    const loaded = await loadRecorded()
    if (loaded.failures[0]) throw loaded.failures[0]
    return loaded
  }

  function remember(complete: LoadedRings): void {
    records = complete.records
    for (const { kid, hasPrivateHalf, verifiesOnly, isOpen } of complete.keys) {
      // One that came to verify may get its private half later.
      if (isOpen && !hasPrivateHalf && !verifiesOnly) erased.add(kid)
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
    // Records that the store lost between the two loads are added again at the next load.
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
