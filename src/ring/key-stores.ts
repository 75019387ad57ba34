import type { KeyStore } from './key-store.ts'

/** The key stores of a deployment: one for each issuer, and the secret that all of them share. */
export interface KeyStores {
  /** Keys and events of one issuer, and the secret of the deployment beside them (`beside-secret.ts`). */
  of(issuer: string): KeyStore
  /** Keeps the secret of the deployment. */
  readonly shared: KeyStore
  /** Those that have keys or events. */
  issuers(): Promise<readonly string[]>
  /** Are there keys or events of a version that knew of one issuer only, and of which nobody said whose they are? */
  hasUnowned(): Promise<boolean>
  /** Gives an issuer what belongs to none, apart from the secret. Done twice it is done once. */
  adopt(issuer: string): Promise<void>
  /** Gives another issuer, which has nothing, what one has. Done twice it is done once. */
  rename(from: string, to: string): Promise<void>
}

/** All that a deployment keeps: enough to see whether a secret may be made. */
export function wholeStore(stores: KeyStores): KeyStore {
  const { shared } = stores
  return {
    ...shared,
    load: async () => {
      const loaded = [await shared.load()]
      for (const issuer of await stores.issuers()) loaded.push(await stores.of(issuer).load())
      const keys = loaded.flatMap((each) => each.keys)
      return {
        // Each issuer shows the secret beside its keys.
        keys: [...new Map(keys.map((key) => [`${key.ring} ${key.id}`, key])).values()],
        events: loaded.flatMap(({ events }) => events),
      }
    },
  }
}
