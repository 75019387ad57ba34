import type { LoadedRings } from './loaded-rings.ts'
import type { Sealer } from './sealer.ts'

/**
 * Whoever remembers outside the key store what the store held, so that a store that was set back is
 * noticed (`witness/witness-watch.ts`). The ring asks it at each load and tells it at each turn.
 */
export interface WitnessHook {
  /**
   * Loads the rings, with the generations that must not be used again.
   * @param sealer of the deployment that the store is of
   * @param load asks the store, each time it is called
   * @throws StoreOutdated, WitnessOfAnother, WitnessUnreadable, and what `load` throws
   */
  load(sealer: Sealer, load: () => Promise<LoadedRings>): Promise<LoadedRings>
  /** Remembers what was loaded. Never rejects: what could not be written is tried with the next. */
  note(facts: LoadedRings): Promise<void>
}
