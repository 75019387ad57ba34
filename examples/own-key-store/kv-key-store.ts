import type { KeyStore, SerializedEvent, SerializedKey } from 'keyturn/ring'

/** The smallest key-value store that will do: an atomic "put unless it is there". */
export interface KeyValueStore {
  /** @returns false where the key is there already */
  putNew(key: string, value: string): Promise<boolean>
  put(key: string, value: string): Promise<void>
  get(key: string): Promise<string | undefined>
  delete(key: string): Promise<void>
  /** Values of the keys that begin so. */
  list(prefix: string): Promise<readonly string[]>
}

/** Keys and events of Keyturn in a key-value store. Generations are unique because `putNew` is atomic. */
export function createKvKeyStore(kv: KeyValueStore): KeyStore {
  const placeOf = ({ ring, generation }: SerializedKey) => `key/${ring}/${generation}`
  const find = async (id: string) => {
    const keys: readonly SerializedKey[] = (await kv.list('key/')).map((text) => JSON.parse(text))
    return keys.find((key) => key.id === id)
  }
  return {
    // Events after keys, so that no key is read whose revocation is not.
    load: async () => {
      const keys: SerializedKey[] = (await kv.list('key/')).map((text) => JSON.parse(text))
      const events: SerializedEvent[] = (await kv.list('event/')).map((text) => JSON.parse(text))
      return { keys, events }
    },
    addKey: async (key) => {
      if (await kv.putNew(placeOf(key), JSON.stringify(key))) return key
      const winner = await kv.get(placeOf(key))
      return winner === undefined ? key : JSON.parse(winner)
    },
    eraseKey: async (key) => {
      if (await find(key.id)) await kv.put(placeOf(key), JSON.stringify(key))
    },
    removeKey: async (id) => {
      const found = await find(id)
      if (found) await kv.delete(placeOf(found))
    },
    addEvents: async (events) => {
      for (const event of events) await kv.put(`event/${event.id}`, JSON.stringify(event))
    },
  }
}
