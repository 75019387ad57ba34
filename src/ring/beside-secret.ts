import { isDeploymentRecord } from './deployment.ts'
import type { KeyStore, SerializedKey } from './key-store.ts'

/**
 * The key store of one issuer together with the secret of the deployment, which all issuers share.
 * @param own keys and events of the issuer
 * @param shared holds the secret; its other records do not belong to this issuer
 */
export function besideSecret(own: KeyStore, shared: KeyStore): KeyStore {
  const storeOf = (key: SerializedKey) => (isDeploymentRecord(key) ? shared : own)
  return {
    load: async () => {
      const { keys, events } = await own.load()
      // After the keys, because a first start makes the secret before them.
      const secrets = (await shared.load()).keys.filter(isDeploymentRecord)
      return { keys: [...secrets, ...keys.filter((key) => !isDeploymentRecord(key))], events }
    },
    addKey: (key) => storeOf(key).addKey(key),
    addTogether: (records) => own.addTogether(records),
    eraseKey: (key) => storeOf(key).eraseKey(key),
    removeKey: (id) => own.removeKey(id),
    addEvents: (events) => own.addEvents(events),
  }
}
