import type { LoadedRings } from './loaded-rings.ts'
import type { Sealer } from './sealer.ts'

/**
 * A witness outside the key store, which remembers its content so that a store that was set back is
 * noticed (`witness/witness-watch.ts`). The ring asks the witness at each load and informs it at
 * each turn.
 */
export interface WitnessHook {
  /**
   * Loads the rings, together with the generations that must not be used again.
   * @param sealer of the store's deployment
   * @param load loads the store at each call
   * @throws StoreOutdated, WitnessOfAnother, WitnessUnreadable, and what `load` throws
   */
  load(sealer: Sealer, load: () => Promise<LoadedRings>): Promise<LoadedRings>
  /**
   * Remembers loaded facts. Never rejects: facts that could not be written are tried again at the
   * next call.
   */
  note(facts: LoadedRings): Promise<void>
}
