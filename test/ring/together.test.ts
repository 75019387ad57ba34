import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { createFileKeyStore } from '../../src/ring/file-key-store.ts'

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
