import { KidTaken } from '../errors.ts'
import { isAmong, missingKeys } from './add-together.ts'
import type { KeyStore, SerializedEvent, SerializedKey } from './key-store.ts'

/** A KeyStore in memory, for tests and trials. */
export function createMemoryKeyStore(): KeyStore {
  const keys = new Map<string, SerializedKey>()
  const events = new Map<string, SerializedEvent>()
  return {
    load: async () => ({
      keys: [...keys.values()],
      events: [...events.values()].sort((a, b) => a.at - b.at),
    }),
    addKey: async (key) => {
      const place = [...keys.values()].find(
        ({ ring, generation }) => ring === key.ring && generation === key.generation,
      )
      if (place) return place
      if (keys.has(key.id)) throw new KidTaken(key.id)
      keys.set(key.id, key)
      return key
    },
    addTogether: async ({ keys: added, events: recorded, replaced = [] }) => {
      const missing = missingKeys(added, [...keys.values()], replaced)
      for (const key of [...keys.values()]) if (isAmong(replaced, key)) keys.delete(key.id)
      for (const key of missing) keys.set(key.id, key)
      for (const event of recorded) events.set(event.id, event)
    },
    eraseKey: async (key) => {
      if (keys.has(key.id)) keys.set(key.id, key)
    },
    removeKey: async (id) => {
      keys.delete(id)
    },
    addEvents: async (added) => {
      for (const event of added) events.set(event.id, event)
    },
  }
}
