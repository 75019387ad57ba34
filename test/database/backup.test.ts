import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
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
