import { besideSecret } from './beside-secret.ts'
import type { KeyStore } from './key-store.ts'
import type { KeyStores } from './key-stores.ts'
import { createMemoryKeyStore } from './memory-key-store.ts'

/** Key stores in memory, for tests and trials. */
export function createMemoryKeyStores(): KeyStores {
  const shared = createMemoryKeyStore()
  const known = new Map<string, KeyStore>()
  const ownOf = (issuer: string): KeyStore => {
    const own = known.get(issuer) ?? createMemoryKeyStore()
    known.set(issuer, own)
    return own
  }
  return {
    of: (issuer) => besideSecret(ownOf(issuer), shared),
    shared,
    issuers: async () => {
      const loaded = await Promise.all(
        [...known].map(async ([issuer, store]) => ({ issuer, ...(await store.load()) })),
      )
      return loaded.flatMap(({ issuer, keys, events }) =>
        keys.length + events.length > 0 ? issuer : [],
      )
    },
    hasUnowned: async () => false,
    adopt: async () => {},
    rename: async (from, to) => {
      if (!known.has(from)) return
      known.set(to, ownOf(from))
      known.delete(from)
    },
  }
}
