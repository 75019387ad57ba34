import type { ClientStore } from '../clients/client-store.ts'
import type { Messages } from '../nodes/messages.ts'
import type { KeyStore } from '../ring/key-store.ts'

/** Wraps a key store so that other nodes are told of each write, of servers and commands. */
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
        // Announced too if the answer was lost, because the write may have happened.
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
        // Announced too if the answer was lost, because the write may have happened.
        await announce()
      }
    },
  }
}

/** Wraps a client store so that other nodes are told of each change. */
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
    add: (...all) => announced(store.add(...all)),
    change: (...all) => announced(store.change(...all)),
    remove: (...all) => announced(store.remove(...all)),
    replaceConfigured: (clients) => announced(store.replaceConfigured(clients)),
    writeConfigured: (clients) => announced(store.writeConfigured(clients)),
  }
}
