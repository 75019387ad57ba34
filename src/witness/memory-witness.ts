import { NOTHING_WITNESSED, type Witness, type WitnessRecord } from './witness.ts'

/** A witness in memory, for tests. */
export function createMemoryWitness(): Witness {
  let record: WitnessRecord | undefined
  return {
    where: 'the memory of this process',
    canBeAway: false,
    read: async () => record,
    update: async (change) => {
      record = change(record ?? NOTHING_WITNESSED)
      return record
    },
  }
}
