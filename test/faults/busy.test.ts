import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { SECRET, startTestServer } from '../../lab/server.ts'

/** Another process that holds SQLite's write lock until its standard input ends. */
const HOLD = `
import Sqlite from 'better-sqlite3-napi'
const database = new Sqlite(process.argv[1])
database.exec('BEGIN IMMEDIATE')
process.stdout.write('held')
process.stdin.on('end', () => { database.exec('ROLLBACK'); process.exit() }).resume()
`

describe('while another process holds the write lock of the database', () => {
  it('the JWKS answers as ever, and a token is given as soon as the lock is free', async () => {
    await using keyturn = await startTestServer()
    const holder = spawn(
      process.execPath,
      ['--input-type=module', '-e', HOLD, join(keyturn.folder, 'keyturn.db')],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
    const ended = once(holder, 'close')
    await once(holder.stdout, 'data')

    let isAnswered = false
    const token = fetch(`${keyturn.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`machine:${SECRET}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    }).finally(() => {
      isAnswered = true
    })
    // Each of these would wait for the lock if the driver waited for it.
    const startedAt = performance.now()
    for (let i = 0; i < 50; i++) {
      assert.equal((await fetch(`${keyturn.issuer}/jwks`)).status, 200)
    }
    assert.ok(performance.now() - startedAt < 4000, 'the lock blocks the whole process')
    assert.equal(isAnswered, false)
    holder.stdin.end()
    assert.equal((await token).status, 200)
    await ended
  })
})
