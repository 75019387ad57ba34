import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { killAtExit } from '../../lab/leftovers.ts'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { createMigrated, DATABASES } from '../support/databases.ts'
import { repeats } from '../support/repeats.ts'

const PROCESSES = 8
const GENERATIONS = repeats(200, 1000)
/** Keys that a process adds at once, so that the processes do not wait for one flush after another. */
const AT_ONCE = 20

const SOURCE = new URL('../../src/database/', import.meta.url).href
const FAKE = new URL('../../src/conformance/records.ts', import.meta.url).href

/** At each database that it is told of, adds a key of its own to every generation; answers with the kids. */
const CHILD = `
  const { createInterface } = await import('node:readline')
  const { openDatabase } = await import('${SOURCE}database.ts')
  const { createSqlKeyStore } = await import('${SOURCE}sql-key-store.ts')
  const { serializedKey } = await import('${FAKE}')
  const [name] = process.argv.slice(1)
  for await (const url of createInterface({ input: process.stdin })) {
    const dataSource = await openDatabase({ url, connections: 4, timeout: 30 })
    const store = createSqlKeyStore(dataSource)
    const kids = []
    for (let first = 1; first <= ${GENERATIONS}; first += ${AT_ONCE}) {
      const keys = Array.from({ length: ${AT_ONCE} }, (_, i) =>
        serializedKey(first + i, { id: name + '-' + (first + i) }))
      kids.push(...(await Promise.all(keys.map(store.addKey))).map((key) => key.id))
    }
    await dataSource.destroy()
    console.log(kids.join(' '))
  }`

function startChild(name: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, name])
  killAtExit(child)
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const err = text(child.stderr)
  return {
    /** @returns the kids that the generations got in this database */
    addTo: async (url: string): Promise<string> => {
      child.stdin.write(`${url}\n`)
      const { value, done } = await answers.next()
      assert.ok(!done, `${name} ended: ${done && (await err)}`)
      return value
    },
    end: async () => {
      child.stdin.end()
      assert.equal(await err, '')
    },
  }
}

/** The same processes for all databases, because a process takes longer to start than to add the keys. */
let children: readonly ReturnType<typeof startChild>[] = []
before(() => {
  children = Array.from({ length: PROCESSES }, (_, i) => startChild(`process-${i}`))
})
after(() => Promise.all(children.map((child) => child.end())))

for (const database of DATABASES) {
  describe(`many processes on ${database.name}`, { skip: database.skip }, () => {
    it(`that make the same ${GENERATIONS} generations agree on every key, without an error`, async () => {
      const { url, dataSource, close } = await createMigrated(database)
      const answers = await Promise.all(children.map((child) => child.addTo(url)))
      const { keys } = await createSqlKeyStore(dataSource).load()
      await close()
      assert.equal(keys.length, GENERATIONS)
      const stored = keys.map((key) => key.id).join(' ')
      for (const answer of answers) assert.equal(answer, stored)
    })
  })
}
