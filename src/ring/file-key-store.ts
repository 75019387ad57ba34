import { hash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { KidTaken, PlaceTaken } from '../errors.ts'
import { onFiles } from '../file-failure.ts'
import { createFile, replaceFile, syncDirectory } from '../whole-file.ts'
import { missingKeys } from './add-together.ts'
import type { KeyStore, SerializedEvent, SerializedKey, StoredRings } from './key-store.ts'
import { parseBatch, parseSerializedEvent, parseSerializedKey } from './records.ts'

/**
 * A KeyStore in a directory: one file per key, named by its place in the ring, and one per event.
 * A file is written whole or not at all: to a draft, to the disk, then linked to its name, which
 * fails where the name is taken. That makes the directory's names the unique index. It works on
 * any file system with hard links, shared ones included.
 */
export function createFileKeyStore(directory: string): KeyStore {
  const keysAt = join(directory, 'keys')
  const eventsAt = join(directory, 'events')
  const keyPath = ({ ring, generation }: SerializedKey) =>
    join(keysAt, fileName(`${ring}.${generation}`))

  const inDirectory = <T>(what: string, work: () => Promise<T>): Promise<T> =>
    onFiles(`${what} in ${directory}`, async () => {
      await mkdir(keysAt, { recursive: true, mode: 0o700 })
      await mkdir(eventsAt, { recursive: true, mode: 0o700 })
      await finishBatches()
      return work()
    })

  async function loadKeys(): Promise<readonly SerializedKey[]> {
    return (await readAll(keysAt)).map(({ path, text }) => parseSerializedKey(text, `File ${path}`))
  }

  async function addEvents(events: readonly SerializedEvent[]): Promise<void> {
    for (const event of events) {
      const path = join(eventsAt, fileName(event.id))
      const text = toText(event)
      if (await createFile(path, text)) continue
      // Its name follows from its content, so whatever else stands there was put there since.
      if ((await readFile(path, 'utf8')) !== text) await replaceFile(path, text)
    }
  }

  /** A directory has no transactions: what is to be added together is written down whole before it is done. */
  async function finishBatches(): Promise<void> {
    for (const { path, text } of await readAll(directory, BATCH)) {
      const batch = parseBatch(text, `File ${path}`)
      try {
        await addBatch(batch)
      } catch (error) {
        if (!(error instanceof KidTaken || error instanceof PlaceTaken)) throw error
        await takeBack(batch.keys)
      }
      await rm(path, { force: true })
      await syncDirectory(directory)
    }
  }

  async function addBatch({ keys, events }: StoredRings): Promise<void> {
    missingKeys(keys, await loadKeys())
    for (const key of keys) {
      // Another process may finish the same batch.
      if (await createFile(keyPath(key), toText(key))) continue
      missingKeys([key], await loadKeys())
    }
    await addEvents(events)
  }

  async function takeBack(keys: readonly SerializedKey[]): Promise<void> {
    for (const key of keys) {
      const text = await readFile(keyPath(key), 'utf8').catch(() => undefined)
      if (text === toText(key)) await rm(keyPath(key), { force: true })
    }
    await syncDirectory(keysAt)
  }

  return {
    load: () =>
      inDirectory(`read the key ring`, async () => {
        const keys = await loadKeys()
        const events = (await readAll(eventsAt)).map(({ path, text }) =>
          parseSerializedEvent(text, `File ${path}`),
        )
        return { keys, events: events.sort((a, b) => a.at - b.at) }
      }),
    addKey: (key) =>
      inDirectory(`add a key to ring ${key.ring}`, async () => {
        const path = keyPath(key)
        const stored = await loadKeys()
        if (stored.some(({ id, generation }) => id === key.id && generation !== key.generation)) {
          throw new KidTaken(key.id)
        }
        if (await createFile(path, toText(key))) return key
        return parseSerializedKey(await readFile(path, 'utf8'), `File ${path}`)
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
        await syncDirectory(keysAt)
      }),
    addTogether: (batch) =>
      inDirectory('add keys together', async () => {
        missingKeys(batch.keys, await loadKeys())
        const text = toText(batch)
        await createFile(join(directory, `${BATCH}${hash('sha256', text, 'base64url')}.json`), text)
        await finishBatches()
        const [missing] = missingKeys(batch.keys, await loadKeys())
        if (missing) throw new PlaceTaken(missing.ring, missing.generation)
      }),
    addEvents: (events) => inDirectory('record an event of the key ring', () => addEvents(events)),
  }
}

/** Beginning of the name of a file that holds what is being added together. */
const BATCH = 'together.'

/** Ring names and event ids have slashes; files do not. */
function fileName(name: string): string {
  return `${encodeURIComponent(name)}.json`
}

function toText(record: object): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

/** Drafts that a crash left behind are not records and are passed over. */
async function readAll(
  directory: string,
  prefix = '',
): Promise<readonly { readonly path: string; readonly text: string }[]> {
  const names = (await readdir(directory))
    .filter((name) => name.startsWith(prefix) && name.endsWith('.json'))
    .sort()
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name)
      // Another node may have deleted it since the directory was read.
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
        return undefined
      })
      return text === undefined ? [] : [{ path, text }]
    }),
  )
  return files.flat()
}
