import { hash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { onFiles } from '../file-failure.ts'
import { createFile, replaceFile, syncDirectory } from '../whole-file.ts'
import { besideSecret } from './beside-secret.ts'
import { isDeploymentRecord } from './deployment.ts'
import { createFileKeyStore } from './file-key-store.ts'
import type { KeyStore } from './key-store.ts'
import type { KeyStores } from './key-stores.ts'

/** Characters of an issuer's hash that name its folder. */
const NAME_LENGTH = 22

/**
 * Key stores in one directory. The directory itself has the secret of the deployment and the keys
 * of the first issuer; each further issuer has a folder `issuers/<hash of its URL>`. A file
 * `issuer` beside the keys names their owner.
 */
export function createFileKeyStores(directory: string): KeyStores {
  const shared = createFileKeyStore(directory)
  const folderNamed = (issuer: string) =>
    join(directory, 'issuers', hash('sha256', issuer, 'base64url').slice(0, NAME_LENGTH))
  const found = new Map<string, Promise<KeyStore>>()

  /** Opens the directory itself if its file names the issuer, else a folder for the issuer. */
  async function open(issuer: string): Promise<KeyStore> {
    if ((await ownerOf(directory)) === issuer) return shared
    const folder = folderNamed(issuer)
    await onFiles(`make the folder ${folder}`, async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await createFile(join(folder, OWNER), `${issuer}\n`)
    })
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

  async function folders(): Promise<readonly { readonly issuer: string; readonly path: string }[]> {
    const names = await readdir(join(directory, 'issuers')).catch(ifAbsent)
    const paths = [directory, ...(names ?? []).map((name) => join(directory, 'issuers', name))]
    const owners = await Promise.all(
      paths.map(async (path) => ({ path, issuer: await ownerOf(path) })),
    )
    return owners.flatMap(({ path, issuer }) => (issuer === undefined ? [] : { path, issuer }))
  }

  const isUsed = async (store: KeyStore) => {
    const { keys, events } = await store.load()
    return events.length + keys.filter((key) => !isDeploymentRecord(key)).length > 0
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
        (await folders()).map(async ({ issuer }) =>
          (await isUsed(await storeOf(issuer))) ? issuer : [],
        ),
      )
      return used.flat()
    },
    hasUnowned: async () => (await ownerOf(directory)) === undefined && isUsed(shared),
    adopt: async (issuer) => {
      const claimed = onFiles(`write the owner of ${directory}`, async () => {
        await mkdir(directory, { recursive: true, mode: 0o700 })
        await createFile(join(directory, OWNER), `${issuer}\n`)
      })
      await claimed
    },
    rename: (from, to) =>
      onFiles(`rename the issuer of the keys in ${directory}`, async () => {
        const folder = (await folders()).find(({ issuer }) => issuer === from)
        if (!folder) return
        // Opening the store of the new URL has made an empty folder.
        if (folder.path !== directory) await rm(folderNamed(to), { recursive: true, force: true })
        found.clear()
        await replaceFile(join(folder.path, OWNER), `${to}\n`)
        if (folder.path === directory) return
        await rename(folder.path, folderNamed(to))
        await syncDirectory(join(directory, 'issuers'))
      }),
  }
}

const OWNER = 'issuer'

async function ownerOf(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, OWNER), 'utf8').catch(ifAbsent)
  return text?.trim()
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
