import { type KeyStore, KidTaken, missingKeys, type StoredRings } from 'keyturn/ring'

/** What etcd, Consul, DynamoDB and many others offer: a value is written only while it is as it was read. */
export interface KeyValueStore {
  get(key: string): Promise<{ readonly value: string; readonly version: number } | undefined>
  /**
   * @param version as it was read, undefined where nothing was there
   * @returns false where somebody else wrote meanwhile
   */
  putIf(key: string, value: string, version: number | undefined): Promise<boolean>
}

/** Keys and events of Keyturn as one value of a key-value store: rings are a few kilobytes. */
export function createKvKeyStore(kv: KeyValueStore, name = 'keyturn'): KeyStore {
  const empty: StoredRings = { keys: [], events: [] }
  const load = async (): Promise<StoredRings> => {
    const found = await kv.get(name)
    return found ? JSON.parse(found.value) : empty
  }
  /** Writes what `decide` makes of the rings; it is asked again where somebody else was faster. */
  const change = async (decide: (rings: StoredRings) => StoredRings): Promise<void> => {
    for (;;) {
      const found = await kv.get(name)
      const rings: StoredRings = found ? JSON.parse(found.value) : empty
      if (await kv.putIf(name, JSON.stringify(decide(rings)), found?.version)) return
    }
  }
  const withEvents = ({ keys, events }: StoredRings, added: StoredRings['events']): StoredRings => {
    const byId = new Map([...events, ...added].map((event) => [event.id, event]))
    return { keys, events: [...byId.values()].sort((a, b) => a.at - b.at) }
  }
  return {
    load,
    addKey: async (key) => {
      let holder = key
      await change((rings) => {
        const { keys, events } = rings
        const place = keys.find(
          ({ ring, generation }) => ring === key.ring && generation === key.generation,
        )
        holder = place ?? key
        if (place) return rings
        if (keys.some(({ id }) => id === key.id)) throw new KidTaken(key.id)
        return { keys: [...keys, key], events }
      })
      return holder
    },
    addTogether: ({ keys, events, replaced = [] }) =>
      change((rings) => {
        const missing = missingKeys(keys, rings.keys, replaced)
        const staying = rings.keys.filter(
          ({ id, data }) => !replaced.some((gone) => gone.id === id && gone.data === data),
        )
        return withEvents({ ...rings, keys: [...staying, ...missing] }, events)
      }),
    eraseKey: (key) =>
      change(({ keys, events }) => ({
        keys: keys.map((each) => (each.id === key.id ? key : each)),
        events,
      })),
    removeKey: (id) =>
      change(({ keys, events }) => ({ keys: keys.filter((key) => key.id !== id), events })),
    addEvents: (events) => change((rings) => withEvents(rings, events)),
  }
}
