import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Sqlite from 'better-sqlite3-napi'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createWriter } from '../../src/database/shared-commits.ts'
import { createReader } from '../../src/database/shared-reads.ts'

/** A database with a table, opened twice as two processes would. */
async function openTwice() {
  const folder = await temporaryFolder()
  const open = () => new Sqlite(join(folder.path, 'shared.db'))
  const [database, other] = [open(), open()]
  database.pragma('journal_mode = WAL')
  database.exec('CREATE TABLE word (text)')
  const select = database.prepare<[], string>('SELECT text FROM word ORDER BY rowid').pluck()
  const reader = createReader(database)
  return {
    database,
    reader,
    writer: createWriter(database, reader),
    words: () => reader.read(() => select.all()),
    add: (text: string, by = database) => by.prepare('INSERT INTO word VALUES (?)').run(text),
    other,
    [Symbol.asyncDispose]: async () => {
      database.close()
      other.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

describe('reads of one turn', () => {
  it('see one state, and the next turn sees what another process has committed', async () => {
    await using opened = await openTwice()
    const { words, add, other } = opened
    add('before')
    assert.deepEqual(words(), ['before'])
    add('meanwhile', other)
    await Promise.resolve()
    assert.deepEqual(words(), ['before'])
    await nextTurn()
    assert.deepEqual(words(), ['before', 'meanwhile'])
  })

  it('do not hold up a write of the same turn, which is read at once', async () => {
    await using opened = await openTwice()
    const { words, add, writer } = opened
    assert.deepEqual(words(), [])
    const written = await writer.write(() => {
      add('one')
      return words()
    })
    assert.deepEqual(written, ['one'])
    assert.deepEqual(words(), ['one'])
  })

  it('end with the turn, also if a read fails', async () => {
    await using opened = await openTwice()
    const { database, reader } = opened
    assert.throws(
      () => reader.read(() => database.prepare('SELECT * FROM absent')),
      /no such table/,
    )
    assert.ok(database.inTransaction)
    await nextTurn()
    assert.ok(!database.inTransaction)
  })

  it('survive a transaction that SQLite has ended by itself', async () => {
    await using opened = await openTwice()
    const { database, reader, words } = opened
    words()
    database.exec('ROLLBACK')
    reader.end()
    assert.deepEqual(words(), [])
    await nextTurn()
    assert.ok(!database.inTransaction)
  })
})
