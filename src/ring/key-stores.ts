import type { KeyStore } from './key-store.ts'

/**
 * The key stores of a deployment: one for each issuer, and one for the secret that all issuers
 * share.
 */
export interface KeyStores {
  /**
   * Keys and events of one issuer, together with the secret of the deployment (`beside-secret.ts`).
   */
  of(issuer: string): KeyStore
  /** The store of the deployment's secret. */
  readonly shared: KeyStore
  /** Issuers that have keys or events. */
  issuers(): Promise<readonly string[]>
  /**
   * True if keys or events have no owner yet, because a version with a single issuer wrote them.
   */
  hasUnowned(): Promise<boolean>
  /** Gives an issuer all keys and events without an owner, but not the secret. Safe to do twice. */
  adopt(issuer: string): Promise<void>
  /** Gives the keys and events of one issuer to another, which has none. Safe to do twice. */
  rename(from: string, to: string): Promise<void>
}

/** All records of a deployment, from which a caller sees whether a secret may be made. */
export function wholeStore(stores: KeyStores): KeyStore {
  const { shared } = stores
  return {
    ...shared,
    load: async () => {
      const loaded = [await shared.load()]
      for (const issuer of await stores.issuers()) loaded.push(await stores.of(issuer).load())
      const keys = loaded.flatMap((each) => each.keys)
      return {
        // The store of each issuer contains the secret as well.
        keys: [...new Map(keys.map((key) => [`${key.ring} ${key.id}`, key])).values()],
        events: loaded.flatMap(({ events }) => events),
      }
    },
  }
}
