import { KidTaken, PlaceTaken } from '../errors.ts'
import type { SerializedKey } from './key-store.ts'

/** Fields that tell two records apart, because `data` contains all others. */
export type PlacedRecord = Pick<SerializedKey, 'id' | 'ring' | 'generation' | 'data'>

/**
 * The keys of a batch that a store still lacks, if all of them can be there
 * (`KeyStore.addTogether`). Pure.
 * @param stored all keys of the store
 * @param replaced those that go in the same step
 * @throws KidTaken, PlaceTaken
 */
export function missingKeys<K extends PlacedRecord>(
  added: readonly K[],
  stored: readonly PlacedRecord[],
  replaced: readonly PlacedRecord[] = [],
): readonly K[] {
  const staying = stored.filter((key) => !isAmong(replaced, key))
  const byId = new Map(staying.map((key) => [key.id, key]))
  const placeOf = ({ ring, generation }: PlacedRecord) => JSON.stringify([ring, generation])
  const taken = new Set(staying.map(placeOf))
  return added.filter((key) => {
    const same = byId.get(key.id)
    if (same && same.data === key.data && placeOf(same) === placeOf(key)) return false
    if (same) throw new KidTaken(key.id)
    if (taken.has(placeOf(key))) throw new PlaceTaken(key.ring, key.generation)
    return true
  })
}

/** Is it one of those records, and as it was? */
export function isAmong(records: readonly PlacedRecord[], { id, data }: PlacedRecord): boolean {
  return records.some((record) => record.id === id && record.data === data)
}
