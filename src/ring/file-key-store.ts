import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { KidTaken } from '../errors.ts'
import { onFiles } from '../file-failure.ts'
import { createFile, replaceFile, syncDirectory } from '../whole-file.ts'
import type { KeyStore, SerializedKey } from './key-store.ts'
import { parseSerializedEvent, parseSerializedKey } from './records.ts'

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
      return work()
    })

  async function loadKeys(): Promise<readonly SerializedKey[]> {
    return (await readAll(keysAt)).map(({ path, text }) => parseSerializedKey(text, `File ${path}`))
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
    addEvents: (events) =>
      inDirectory(`record an event of the key ring`, async () => {
        for (const event of events) {
          const path = join(eventsAt, fileName(event.id))
          const text = toText(event)
          if (await createFile(path, text)) continue
          // Its name follows from its content, so whatever else stands there was put there since.
          if ((await readFile(path, 'utf8')) !== text) await replaceFile(path, text)
        }
      }),
  }
}

/** Ring names and event ids have slashes; files do not. */
function fileName(name: string): string {
  return `${encodeURIComponent(name)}.json`
}

function toText(record: object): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

/** Drafts that a crash left behind are not records and are passed over. */
async function readAll(directory: string): Promise<{ path: string; text: string }[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.json')).sort()
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
