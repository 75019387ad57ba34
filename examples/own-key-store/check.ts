import { describe, it } from 'node:test'
import { testKeyStore } from 'keyturn/conformance'
import { createKvKeyStore, type KeyValueStore } from './kv-key-store.ts'

/** Stands for the key-value store of your own; a `Map` is one. */
function createMapStore(): KeyValueStore {
  const map = new Map<string, string>()
  return {
    putNew: async (key, value) => {
      if (map.has(key)) return false
      map.set(key, value)
      return true
    },
    put: async (key, value) => {
      map.set(key, value)
    },
    get: async (key) => map.get(key),
    delete: async (key) => {
      map.delete(key)
    },
    list: async (prefix) => [...map].filter(([key]) => key.startsWith(prefix)).map(([, v]) => v),
  }
}

testKeyStore({ describe, it }, 'a key-value store', async () => {
  const kv = createMapStore()
  // Two handles on the same records, as two processes have them.
  return { store: createKvKeyStore(kv), other: createKvKeyStore(kv), close: async () => {} }
})
