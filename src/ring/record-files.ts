import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makePrivateFolder } from '../private-folder.ts'
import { createFile, readWholeFile, replaceFile } from '../whole-file.ts'
import type { SerializedEvent, SerializedKey } from './key-store.ts'
import { parseSerializedEvent, parseSerializedKey } from './records.ts'

/**
 * Files of keys and events in a directory: one per key, named by its place in the ring, and one per
 * event.
 */
export interface RecordFiles {
  /** Folder of the keys. */
  readonly keysAt: string
  /** Makes the folders of keys and events if there are none. */
  makeFolders(): Promise<void>
  loadKeys(): Promise<readonly SerializedKey[]>
  loadEvents(): Promise<readonly SerializedEvent[]>
  /** Path of the file of a key, by its place. */
  keyPath(place: Pick<SerializedKey, 'ring' | 'generation'>): string
  addEvents(events: readonly SerializedEvent[]): Promise<void>
}

export function createRecordFiles(directory: string): RecordFiles {
  const keysAt = join(directory, 'keys')
  const eventsAt = join(directory, 'events')

  return {
    keysAt,
    makeFolders: async () => {
      await makePrivateFolder(keysAt)
      await makePrivateFolder(eventsAt)
    },
    loadKeys: async () =>
      (await readAll(keysAt)).map(({ path, text }) => parseSerializedKey(text, `File ${path}`)),
    loadEvents: async () =>
      (await readAll(eventsAt)).map(({ path, text }) => parseSerializedEvent(text, `File ${path}`)),
    keyPath: ({ ring, generation }) => join(keysAt, fileName(`${ring}.${generation}`)),
    addEvents: async (events) => {
      for (const event of events) {
        const path = join(eventsAt, fileName(event.id))
        const text = toText(event)
        if (await createFile(path, text)) continue
        // An event's file is named by its content, so another content was written later.
        if ((await readWholeFile(path)) !== text) await replaceFile(path, text)
      }
    },
  }
}

/** The text of a file with this record. */
export function toText(record: object): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

/**
 * All records of a directory with a prefix in their names. Drafts that a crash left behind are no
 * records and are ignored.
 */
export async function readAll(
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
      const text = await readWholeFile(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
        return undefined
      })
      return text === undefined ? [] : [{ path, text }]
    }),
  )
  return files.flat()
}

/** Ring names and event ids have slashes; files do not. */
function fileName(name: string): string {
  return `${encodeURIComponent(name)}.json`
}
