import { hash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { KidTaken, PlaceTaken } from '../errors.ts'
import { withFileLock } from '../file-lock.ts'
import { createFile, readWholeFile, syncDirectory } from '../whole-file.ts'
import { isAmong, missingKeys } from './add-together.ts'
import type { RecordsTogether, SerializedKey } from './key-store.ts'
import { type RecordFiles, readAll, toText } from './record-files.ts'
import { parseBatch } from './records.ts'

/**
 * Keys and events that are added together to a directory, which has no transactions: a batch is
 * written into a file of its own first. The next process that opens the directory finishes it, or
 * takes it back if a place was taken meanwhile.
 */
export interface BatchFiles {
  /** Writes a batch down and finishes it. */
  add(batch: RecordsTogether): Promise<void>
  /** Finishes all batches that were written down, by this process or another. */
  finish(): Promise<void>
}

/** Beginning of the name of a file with a batch. */
const BATCH = 'together.'

export function createBatchFiles(directory: string, files: RecordFiles): BatchFiles {
  /**
   * Does work while no other process adds or finishes a batch, because it could take back a batch
   * that conflicts with its own while this process is finishing it.
   */
  const alone = (work: () => Promise<void>) => withFileLock(join(directory, 'together.lock'), work)

  async function finishAll(): Promise<void> {
    for (const { path, text } of await readAll(directory, BATCH)) {
      const batch = parseBatch(text, `File ${path}`)
      try {
        await addRecords(batch)
      } catch (error) {
        if (!(error instanceof KidTaken || error instanceof PlaceTaken)) throw error
        await takeBack(batch.keys)
      }
      await rm(path, { force: true })
      await syncDirectory(directory)
    }
  }

  async function addRecords({ keys, events, replaced = [] }: RecordsTogether): Promise<void> {
    missingKeys(keys, await files.loadKeys(), replaced)
    for (const key of keys) {
      // Another process may finish the same batch.
      if (await createFile(files.keyPath(key), toText(key))) continue
      missingKeys([key], await files.loadKeys(), replaced)
    }
    // Nobody reads the directory before the batch is finished, so nobody finds two keys of one id.
    const going = (await files.loadKeys()).filter((key) => isAmong(replaced, key))
    for (const key of going) await rm(files.keyPath(key), { force: true })
    if (going.length > 0) await syncDirectory(files.keysAt)
    await files.addEvents(events)
  }

  async function takeBack(keys: readonly SerializedKey[]): Promise<void> {
    for (const key of keys) {
      const path = files.keyPath(key)
      const text = await readWholeFile(path).catch(() => undefined)
      if (text === toText(key)) await rm(path, { force: true })
    }
    await syncDirectory(files.keysAt)
  }

  return {
    finish: async () => {
      // Without the lock for as long as there is no batch, because each load comes here.
      if ((await readAll(directory, BATCH)).length > 0) await alone(finishAll)
    },
    add: async (batch) => {
      const text = toText(batch)
      const path = join(directory, `${BATCH}${hash('sha256', text, 'base64url')}.json`)
      await alone(async () => {
        await createFile(path, text)
        await finishAll()
      })
    },
  }
}
