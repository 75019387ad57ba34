import type { KeyStore } from '../../src/ring/key-store.ts'

/**
 * The key store of the database, with one key of a ring that is not configured shown or hidden: so
 * the published set can differ as often as wanted, through the same load, seal, plan and swap as a
 * rotation, without the cost of making keys.
 */

export const EXTRA_RING = 'sig/ES384'

let store: KeyStore | undefined
let isShown = false

export function setStore(inner: KeyStore): void {
  store = inner
}

export function showExtraKey(shown: boolean): void {
  isShown = shown
}

export function createKeyStore(): KeyStore {
  if (!store) throw new TypeError('there is no store yet')
  const inner = store
  return {
    ...inner,
    load: async () => {
      const { keys, events } = await inner.load()
      return { keys: keys.filter((key) => isShown || key.ring !== EXTRA_RING), events }
    },
  }
}
