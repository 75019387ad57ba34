import { describe, it } from 'node:test'
import { testKeyStore } from 'keyturn/conformance'
import { createKvKeyStore, type KeyValueStore } from './kv-key-store.ts'

/** Stands for the key-value store of your own; a `Map` is one. */
function createMapStore(): KeyValueStore {
  const map = new Map<string, { readonly value: string; readonly version: number }>()
  return {
    get: async (key) => map.get(key),
    putIf: async (key, value, version) => {
      if (map.get(key)?.version !== version) return false
      map.set(key, { value, version: (version ?? 0) + 1 })
      return true
    },
  }
}

testKeyStore({ describe, it }, 'a key-value store', async () => {
  const kv = createMapStore()
  // Two handles on the same records, as two processes have them.
  return { store: createKvKeyStore(kv), other: createKvKeyStore(kv), close: async () => {} }
})
