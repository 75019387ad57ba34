import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import files, { chown } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createFileWitness } from '../../src/witness/file-witness.ts'
import { keyturnIn } from '../cli/keyturn.ts'

const isRoot = process.getuid?.() === 0
/** Of an account that is not root's. */
const SERVER = 65534

describe('a witness file', () => {
  it('is refused where it is no file, because a device has no end', {
    timeout: 60_000,
  }, async () => {
    for (const [path, why] of [
      ['/dev/zero', /Cannot read the witness \/dev\/zero .*: \/dev\/zero is no file/],
      ['/dev', /Cannot read the witness \/dev .*: \/dev is a directory/],
    ] as const) {
      await assert.rejects(createFileWitness(path).read(), why)
    }
    await using cli = await keyturnIn({ KEYTURN_ROTATION__WITNESS: '/dev/zero' })
    const { status, err } = await cli.run(['restore', 'check'])
    assert.equal(status, 1)
    assert.match(err, /Cannot read the witness \/dev\/zero .*: \/dev\/zero is no file/)
  })
})

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
