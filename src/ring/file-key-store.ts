import { rm } from 'node:fs/promises'
import { KidTaken, PlaceTaken } from '../errors.ts'
import { onFiles } from '../file-failure.ts'
import { createFile, readWholeFile, replaceFile, syncDirectory } from '../whole-file.ts'
import { missingKeys } from './add-together.ts'
import { createBatchFiles } from './batch-files.ts'
import type { KeyStore } from './key-store.ts'
import { createRecordFiles, toText } from './record-files.ts'
import { parseSerializedKey } from './records.ts'

/**
 * A KeyStore in a directory: one file per key, named by its place in the ring, and one per event. A
 * file is written whole or not at all: to a draft, to the disk, then linked to its name, which
 * fails if the name is taken. So the names in the directory are the unique index. The store works
 * on any file system with hard links, shared ones included.
 */
export function createFileKeyStore(directory: string): KeyStore {
  const files = createRecordFiles(directory)
  const batches = createBatchFiles(directory, files)
  const { loadKeys, keyPath } = files

  const inDirectory = <T>(what: string, work: () => Promise<T>): Promise<T> =>
    onFiles(`${what} in ${directory}`, async () => {
      await files.makeFolders()
      await batches.finish()
      return work()
    })

  return {
    load: () =>
      inDirectory(`read the key ring`, async () => {
        const keys = await loadKeys()
        const events = await files.loadEvents()
        return { keys, events: events.toSorted((a, b) => a.at - b.at) }
      }),
    addKey: (key) =>
      inDirectory(`add a key to ring ${key.ring}`, async () => {
        const path = keyPath(key)
        const stored = await loadKeys()
        if (stored.some(({ id, generation }) => id === key.id && generation !== key.generation)) {
          throw new KidTaken(key.id)
        }
        if (await createFile(path, toText(key))) return key
        return parseSerializedKey(await readWholeFile(path), `File ${path}`)
      }),
    eraseKey: (key) =>
      inDirectory(`erase the private half of key ${key.id}`, async () => {
        const stored = (await loadKeys()).find(({ id }) => id === key.id)
        if (stored) await replaceFile(keyPath(stored), toText(key))
      }),
    removeKey: (id) =>
      inDirectory(`delete key ${id}`, async () => {
        const stored = (await loadKeys()).find((key) => key.id === id)
        if (!stored) return
        await rm(keyPath(stored), { force: true })
        await syncDirectory(files.keysAt)
      }),
    addTogether: (batch) =>
      inDirectory('add keys together', async () => {
        missingKeys(batch.keys, await loadKeys(), batch.replaced)
        await batches.add(batch)
        const [missing] = missingKeys(batch.keys, await loadKeys())
        if (missing) throw new PlaceTaken(missing.ring, missing.generation)
      }),
    addEvents: (events) =>
      inDirectory('record an event of the key ring', () => files.addEvents(events)),
  }
}
