import type { KeyStore } from '../../src/ring/key-store.ts'

/**
 * The key store of the database, in which a key of an unconfigured ring can be shown or hidden. So
 * the published set can change at any time, through the same load, seal, plan and swap as in a
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
