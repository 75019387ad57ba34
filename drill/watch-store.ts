import type { KeyStore } from '../src/ring/key-store.ts'
import type { Complain } from './complaints.ts'

/** Reads the key store: no key may be made twice. */
export interface StoreWatch {
  /** Keys found in the store, as `ring generation`. */
  readonly made: ReadonlyMap<string, string>
  read(): Promise<void>
  /** True if the store had the key in that ring. */
  had(kid: string, ring: string): boolean
}

export function watchStore(store: KeyStore, complain: Complain): StoreWatch {
  const made = new Map<string, string>()
  /** Ring of each key. */
  const stored = new Map<string, string>()
  const read = async (): Promise<void> => {
    const { keys } = await store.load()
    for (const { id, ring, generation } of keys) {
      stored.set(id, ring)
      const place = `${ring} ${generation}`
      const known = made.get(place)
      if (known !== undefined && known !== id) {
        complain(
          'key made twice',
          place,
          `generation ${generation} of ${ring} was ${known}, now ${id}`,
        )
      }
      made.set(place, id)
    }
  }
  return { made, read, had: (kid, ring) => stored.get(kid) === ring }
}
