import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import files, { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import Sqlite from 'better-sqlite3-napi'
import { temporaryFolder } from '../../lab/temporary.ts'
import { writeBackup } from '../../src/database/backup.ts'

describe('a backup of SQLite', () => {
  it('ends while another connection commits, with what was there when it began', async () => {
    await using folder = await temporaryFolder()
    const database = join(folder.path, 'keyturn.db')
    const server = new Sqlite(database)
    server.pragma('journal_mode = WAL')
    server.exec('CREATE TABLE t (v TEXT)')
    const insert = server.prepare('INSERT INTO t VALUES (?)')
    const fill = (rows: number) => {
      for (let row = 0; row < rows; row++) insert.run('x'.repeat(3000))
    }
    // Of more pages than SQLite copies in one step.
    server.transaction(fill)(2000)

    let left = 500
    const commits = setInterval(() => {
      insert.run('later')
      left--
      if (left === 0) clearInterval(commits)
    })
    await writeBackup(join(folder.path, 'backup'), { database })
    clearInterval(commits)
    server.close()

    assert.ok(left > 0, 'the backup ended after the last commit only')
    const copy = new Sqlite(join(folder.path, 'backup', 'keyturn.db'), { readonly: true })
    const { rows } = copy.prepare<[], { rows: number }>('SELECT count(*) rows FROM t').get() ?? {}
    assert.equal(copy.pragma('integrity_check', { simple: true }), 'ok')
    copy.close()
    assert.ok(rows !== undefined && rows >= 2000 && rows <= 2500 - left, `${rows} rows`)
  })
})

describe('a backup of a directory of keys', () => {
  const NAMES = Array.from({ length: 9 }, (_, i) => `keys/${i}.json`)

  /** A database and a directory of keys, and what writes their backup. */
  async function withKeys() {
    const folder = await temporaryFolder()
    const [database, keys] = [join(folder.path, 'keyturn.db'), join(folder.path, 'ring')]
    new Sqlite(database).exec('CREATE TABLE t (v TEXT)').close()
    await mkdir(join(keys, 'keys'), { recursive: true })
    await mkdir(join(keys, 'events'))
    for (const name of NAMES) await writeFile(join(keys, name), name)
    return {
      keys,
      /** Names of the copied files. */
      backUp: async () => {
        const target = join(folder.path, 'backup')
        await writeBackup(target, { database, keys })
        const copied = await readdir(join(target, 'ring'), { recursive: true })
        return copied.filter((name) => name.endsWith('.json')).sort()
      },
      [Symbol.asyncDispose]: folder.remove,
    }
  }

  /** Lets another process change files just before the first time that one of these is opened. */
  function beforeReading(t: TestContext, name: string, change: () => Promise<void>): void {
    const original = files.open
    let isChanged = false
    const open = async (...args: unknown[]): Promise<unknown> => {
      if (!isChanged && String(args[0]).endsWith(name)) {
        isChanged = true
        await change()
      }
      return Reflect.apply(original, files, args)
    }
    t.mock.method(files, 'open', open as typeof original)
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
  }

  it('has all other keys if a node deletes one meanwhile', async (t) => {
    await using directory = await withKeys()
    beforeReading(t, 'keys/0.json', () => rm(join(directory.keys, 'keys/0.json')))
    assert.deepEqual(await directory.backUp(), NAMES.slice(1))
  })

  it('has the event of a key that is added meanwhile', async (t) => {
    await using directory = await withKeys()
    beforeReading(t, 'keys/0.json', async () => {
      await writeFile(join(directory.keys, 'keys/added.json'), '')
      await writeFile(join(directory.keys, 'events/added.json'), '')
    })
    const all = ['events/added.json', ...NAMES, 'keys/added.json']
    assert.deepEqual(await directory.backUp(), all)
  })

  it('is refused where a pipe is in the place of a key, instead of waiting for good', {
    timeout: 20_000,
  }, async () => {
    await using directory = await withKeys()
    execFileSync('mkfifo', [join(directory.keys, 'keys/pipe.json')])
    await assert.rejects(
      directory.backUp(),
      /^StoreUnavailable: Cannot write a backup .*pipe\.json is no file$/,
    )
  })

  it('has a batch that is not finished yet, and no drafts', async () => {
    await using directory = await withKeys()
    await writeFile(join(directory.keys, 'together.1.json'), '')
    await writeFile(join(directory.keys, 'keys/1.json.draft'), '')
    assert.deepEqual(await directory.backUp(), [...NAMES, 'together.1.json'])
  })
})
