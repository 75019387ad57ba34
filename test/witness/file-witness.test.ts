import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import files, { chown } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createFileWitness } from '../../src/witness/file-witness.ts'

const isRoot = process.getuid?.() === 0
/** Of an account that is not root's. */
const SERVER = 65534

describe('a witness file that a command run as root writes', () => {
  it('is the server’s all the time, and so is the lock', {
    skip: isRoot ? false : 'only root gives files away',
  }, async (t) => {
    await using folder = await temporaryFolder()
    await chown(folder.path, SERVER, SERVER)
    const path = join(folder.path, 'witness.json')
    const seen = new Map<string, number>()
    const original = files.rename
    t.mock.method(files, 'rename', async (from: string, to: string) => {
      await original(from, to)
      seen.set('file', statSync(to).uid)
    })
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
    await createFileWitness(path).update((before) => {
      seen.set('lock', statSync(`${path}.lock`).uid)
      return { ...before, generations: { cookie: 1 } }
    })
    assert.deepEqual(Object.fromEntries(seen), { lock: SERVER, file: SERVER })
  })
})
