import { onFiles } from '../file-failure.ts'
import { besideSecret } from './beside-secret.ts'
import { isDeploymentRecord } from './deployment.ts'
import { createFileKeyStore } from './file-key-store.ts'
import { createIssuerFolders } from './issuer-folders.ts'
import type { KeyStore } from './key-store.ts'
import type { KeyStores } from './key-stores.ts'

/**
 * Key stores in one directory. The directory itself has the secret of the deployment and the keys
 * of the first issuer; each further issuer has a folder of its own (`issuer-folders.ts`).
 */
export function createFileKeyStores(directory: string): KeyStores {
  const shared = createFileKeyStore(directory)
  const folders = createIssuerFolders(directory)
  const found = new Map<string, Promise<KeyStore>>()

  const read = <T>(work: () => Promise<T>) =>
    onFiles(`read the directory of keys ${directory} (keyStore.path)`, work)

  /** Opens the directory itself if its file names the issuer, else a folder for the issuer. */
  async function open(issuer: string): Promise<KeyStore> {
    if ((await read(folders.owner)) === issuer) return shared
    const folder = await onFiles(`open the folder of ${issuer} in ${directory}`, () =>
      folders.find(issuer),
    )
    return besideSecret(createFileKeyStore(folder), shared)
  }
  const storeOf = (issuer: string): Promise<KeyStore> => {
    const store =
      found.get(issuer) ??
      open(issuer).catch((error: unknown) => {
        found.delete(issuer)
        throw error
      })
    found.set(issuer, store)
    return store
  }

  return {
    of: (issuer) => ({
      load: async () => (await storeOf(issuer)).load(),
      addKey: async (key) => (await storeOf(issuer)).addKey(key),
      addTogether: async (records) => (await storeOf(issuer)).addTogether(records),
      eraseKey: async (key) => (await storeOf(issuer)).eraseKey(key),
      removeKey: async (id) => (await storeOf(issuer)).removeKey(id),
      addEvents: async (events) => (await storeOf(issuer)).addEvents(events),
    }),
    shared,
    issuers: async () => {
      const used = await Promise.all(
        (await read(folders.owned)).map(async ({ issuer }) =>
          (await isUsed(await storeOf(issuer))) ? issuer : [],
        ),
      )
      return used.flat()
    },
    hasUnowned: async () => (await read(folders.owner)) === undefined && isUsed(shared),
    adopt: (issuer) =>
      onFiles(`write the owner of ${directory} (keyStore.path)`, () => folders.adopt(issuer)),
    rename: (from, to) =>
      onFiles(`rename the issuer of the keys in ${directory}`, () =>
        folders.rename(from, to).finally(() => found.clear()),
      ),
  }
}

async function isUsed(store: KeyStore): Promise<boolean> {
  const { keys, events } = await store.load()
  return events.length + keys.filter((key) => !isDeploymentRecord(key)).length > 0
}
