import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import files, { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { createFileKeyStore } from '../../src/ring/file-key-store.ts'
import type { RecordsTogether } from '../../src/ring/key-store.ts'
import { toText } from '../../src/ring/record-files.ts'

const event = { id: 'promote/x', ring: 'sig/ES256', type: 'promote', at: 10, data: 'x' }
const batch = { keys: [1, 2, 3].map((n) => serializedKey(n)), events: [event] }

/** A directory as a process leaves it that was killed after the batch was written down and one key was added. */
async function cutOff(folder: string, first: object = serializedKey(1)): Promise<void> {
  await mkdir(join(folder, 'keys'), { recursive: true })
  await writeFile(join(folder, 'together.x.json'), `${JSON.stringify(batch, null, 2)}\n`)
  await writeFile(join(folder, 'keys', 'sig%2FES256.1.json'), `${JSON.stringify(first, null, 2)}\n`)
}

describe('keys that were being added together to a directory when a process died', () => {
  it('are all there at the next load', async () => {
    await using folder = await temporaryFolder()
    await cutOff(folder.path)
    const { keys, events } = await createFileKeyStore(folder.path).load()
    assert.deepEqual(
      keys.map(({ id }) => id),
      ['kid-1', 'kid-2', 'kid-3'],
    )
    assert.deepEqual(events, [event])
    assert.deepEqual((await readdir(folder.path)).toSorted(), ['events', 'keys'])
  })

  it('are all gone if another key has taken the place of one meanwhile', async () => {
    await using folder = await temporaryFolder()
    await cutOff(folder.path)
    const other = `${JSON.stringify(serializedKey(3, { id: 'other' }), null, 2)}\n`
    await writeFile(join(folder.path, 'keys', 'sig%2FES256.3.json'), other)
    const { keys, events } = await createFileKeyStore(folder.path).load()
    assert.deepEqual(
      keys.map(({ id }) => id),
      ['other'],
    )
    assert.deepEqual(events, [])
  })
})

describe('keys that two processes add together to a directory at the same places', () => {
  /** One process adds its keys from the first to the last, the other from the last to the first. */
  const one = { keys: [1, 2].map((n) => serializedKey(n, { id: `one-${n}` })), events: [] }
  const others = [2, 1].map((n) => serializedKey(n, { id: `other-${n}` }))
  const nameOf = (records: object) => hash('sha256', toText(records), 'base64url')
  /** Its file comes before that of the first process, so that it is finished before that. */
  const other = Array.from({ length: 99 }, (_, n) => ({
    keys: others,
    events: [{ ...event, id: `promote/${n}` }],
  })).find((records) => nameOf(records) < nameOf(one))

  it('are all there of one, and none of the other, if each finishes the batches of both', async (t) => {
    assert.ok(other)
    await using folder = await temporaryFolder()
    const add = (records: RecordsTogether) => createFileKeyStore(folder.path).addTogether(records)
    const oneWaits = Promise.withResolvers<void>()
    const otherWaits = Promise.withResolvers<void>()
    const oneTakesBack = Promise.withResolvers<void>()
    let ofOne: Promise<void> | undefined
    const { link, rm } = files
    t.mock.method(files, 'link', async (from: string, to: string) => {
      const text = await readFile(from, 'utf8')
      if (to.includes('together.') && text.includes('other-')) {
        ofOne = add(one).catch(() => undefined)
        await oneWaits.promise
      } else if (text.includes('"id": "one-1"') && !to.includes('together.')) {
        oneWaits.resolve()
        await otherWaits.promise
      } else if (text.includes('"id": "other-1"')) {
        otherWaits.resolve()
        await oneTakesBack.promise
      }
      // One of the two waits for the lock that the other holds.
      await link(from, to).catch((error: unknown) => {
        if (to.endsWith('.lock')) {
          for (const waits of [oneWaits, otherWaits, oneTakesBack]) waits.resolve()
        }
        throw error
      })
    })
    t.mock.method(files, 'rm', async (path: string, options: object) => {
      if (path.endsWith('.1.json')) {
        oneTakesBack.resolve()
        await ofOther
      }
      await rm(path, options)
    })
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
    const ofOther = add(other).catch(() => undefined)
    await ofOther
    await ofOne
    const { keys } = await createFileKeyStore(folder.path).load()
    assert.deepEqual(
      keys.map(({ id }) => id),
      ['other-1', 'other-2'],
    )
  })
})
