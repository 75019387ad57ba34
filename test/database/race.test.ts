import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { createMigrated, DATABASES } from '../support/databases.ts'
import { repeats } from '../support/repeats.ts'

const PROCESSES = 8
const GENERATIONS = repeats(200, 1000)
/** Keys that a process adds at once, so that the processes do not wait for one flush after another. */
const AT_ONCE = 20

const SOURCE = new URL('../../src/database/', import.meta.url).href
const FAKE = new URL('../../src/conformance/records.ts', import.meta.url).href

/** Adds a key of its own to every generation; writes the kid that each generation got. */
const CHILD = `
  const { openDatabase } = await import('${SOURCE}database.ts')
  const { createSqlKeyStore } = await import('${SOURCE}sql-key-store.ts')
  const { serializedKey } = await import('${FAKE}')
  const [url, name] = process.argv.slice(1)
  const dataSource = await openDatabase({ url, connections: 4, timeout: 30 })
  const store = createSqlKeyStore(dataSource)
  const kids = []
  for (let first = 1; first <= ${GENERATIONS}; first += ${AT_ONCE}) {
    const keys = Array.from({ length: ${AT_ONCE} }, (_, i) =>
      serializedKey(first + i, { id: name + '-' + (first + i) }))
    kids.push(...(await Promise.all(keys.map(store.addKey))).map((key) => key.id))
  }
  await dataSource.destroy()
  process.stdout.write(kids.join(' '))`

for (const database of DATABASES) {
  describe(`many processes on ${database.name}`, { skip: database.skip }, () => {
    it(`that make the same ${GENERATIONS} generations agree on every key, without an error`, async () => {
      const { url, dataSource, close } = await createMigrated(database)
      const answers = await Promise.all(
        Array.from({ length: PROCESSES }, async (_, i) => {
          const child = spawn(
            process.execPath,
            ['--input-type=module', '-e', CHILD, url, `process-${i}`],
            { stdio: ['ignore', 'pipe', 'pipe'] },
          )
          const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
          assert.equal(err, '')
          return out
        }),
      )
      const { keys } = await createSqlKeyStore(dataSource).load()
      await close()
      assert.equal(keys.length, GENERATIONS)
      const stored = keys.map((key) => key.id).join(' ')
      for (const answer of answers) assert.equal(answer, stored)
    })
  })
}
