import type { ClientStore } from '../clients/client-store.ts'
import type { Messages } from '../nodes/messages.ts'
import type { KeyStore } from '../ring/key-store.ts'

/** The same store, which tells the other nodes of what it wrote: server and CLI alike. */
export function announceKeys(store: KeyStore, messages: Pick<Messages, 'publish'>): KeyStore {
  const announce = () => messages.publish('ring')
  return {
    load: () => store.load(),
    addKey: async (key) => {
      const winner = await store.addKey(key)
      if (winner.data === key.data) await announce()
      return winner
    },
    addTogether: async (records) => {
      try {
        await store.addTogether(records)
      } finally {
        // Where the answer was lost it may have been done.
        await announce()
      }
    },
    eraseKey: async (key) => {
      await store.eraseKey(key)
      await announce()
    },
    removeKey: async (id) => {
      await store.removeKey(id)
      await announce()
    },
    addEvents: async (events) => {
      try {
        await store.addEvents(events)
      } finally {
        // Where the answer was lost it may have been done.
        await announce()
      }
    },
  }
}

/** The same store, which tells the other nodes that clients changed. */
export function announceClients(
  store: ClientStore,
  messages: Pick<Messages, 'publish'>,
): ClientStore {
  const announced = async <T>(change: Promise<T>): Promise<T> => {
    const result = await change
    await messages.publish('clients')
    return result
  }
  return {
    ...store,
    add: (metadata) => announced(store.add(metadata)),
    change: (id, decide) => announced(store.change(id, decide)),
    remove: (id) => announced(store.remove(id)),
    replaceConfigured: (clients) => announced(store.replaceConfigured(clients)),
    writeConfigured: (clients) => announced(store.writeConfigured(clients)),
  }
}
