import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import Sqlite from 'better-sqlite3-napi'
import { exportJWK, generateKeyPair } from 'jose'
import { openDatabase } from '../../src/database/database.ts'
import { writeDuendeFile } from '../../src/import/duende-write.ts'
import { ticksOf } from '../../src/values/ticks.ts'
import { DATABASES, settingsOf } from '../support/databases.ts'
import { keyturnIn } from './keyturn.ts'

/** Sources without an end, or of more than fits into memory, beside those that only look so. */

interface Shown {
  readonly keys: readonly { readonly kid: string; readonly publishedUntil: string | null }[]
}

type Cli = Awaited<ReturnType<typeof keyturnIn>>

const MIB = 1024 * 1024
const COLUMNS = ['Id', 'Version', 'Created', 'Use', 'Algorithm', 'IsX509Certificate'] as const

/** The row of a key in IdentityServer's table. */
async function duendeRow(kid: string): Promise<Readonly<Record<string, string | number>>> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const created = ticksOf(new Date())
  const jwk = await exportJWK(privateKey)
  const key = { jwk, kid, algorithm: 'ES256', createdAt: created, storedAt: created }
  const { bytes } = await writeDuendeFile(key)
  const { Version, Created, Data } = JSON.parse(
    Buffer.from(bytes)
      .toString()
      .replace(/^\uFEFF/, ''),
  )
  const row = { Id: kid, Version, Created, Use: 'signing', Algorithm: 'ES256' }
  return { ...row, IsX509Certificate: 0, DataProtected: 0, Data }
}

const TABLE = `CREATE TABLE "Keys" ("Id" TEXT PRIMARY KEY, "Version" INTEGER, "Created" TEXT, "Use" TEXT,
  "Algorithm" TEXT, "IsX509Certificate" INTEGER, "DataProtected" INTEGER, "Data" TEXT)`

/** A SQLite database whose newest pages are in the log beside it, as its program left them. */
async function inLog(cli: Cli, name: string) {
  const folder = join(cli.path, name)
  await mkdir(folder)
  const path = join(folder, 'duende.db')
  const database = new Sqlite(path)
  database.pragma('journal_mode = WAL')
  database.pragma('wal_autocheckpoint = 0')
  database.exec(TABLE)
  const row = await duendeRow('in-the-log')
  const marks = Object.keys(row).map(() => '?')
  database.prepare(`INSERT INTO "Keys" VALUES (${marks})`).run(...Object.values(row))
  return { folder, path, database }
}

const importing = (path: string) => ['keys', 'import', 'duende', path]

describe('a SQLite file with a log beside it', () => {
  it('is refused where both have too many bytes together', async () => {
    await using cli = await keyturnIn()
    const { path, database } = await inLog(cli, 'old')
    database.exec('CREATE TABLE other (content BLOB)')
    database.prepare('INSERT INTO other VALUES (zeroblob(?))').run(65 * MIB)
    const { status, err } = await cli.run(importing(path))
    assert.deepEqual([status, /^input_too_large: .*more than \d+ bytes/.test(err)], [1, true], err)
    database.close()
  })

  it('is read where the log is no log, however large', async () => {
    await using cli = await keyturnIn()
    const { path, database } = await inLog(cli, 'old')
    database.pragma('wal_checkpoint(TRUNCATE)')
    database.close()
    await writeFile(`${path}-wal`, '')
    await truncate(`${path}-wal`, 2 ** 36)
    const { keys } = await cli.json<Shown>(importing(path))
    assert.deepEqual(
      keys.map(({ kid }) => kid),
      ['in-the-log'],
    )
  })

  it('is read with the log from a directory in which nothing can be written', {
    skip: process.getuid?.() === 0 ? false : 'only root can be somebody else',
  }, async () => {
    await using cli = await keyturnIn()
    const { folder, path, database } = await inLog(cli, 'old')
    // As a copy of a volume has it: the file that a running program keeps beside it is missing.
    const copy = join(cli.path, 'copy')
    await mkdir(copy)
    execFileSync('cp', [path, `${path}-wal`, copy])
    database.close()
    await chmod(copy, 0o555)
    await chmod(folder, 0o555)
    await chmod(cli.path, 0o755)
    const script = `import { wholeSqlite } from ${JSON.stringify(MODULE)}
      process.stdout.write(wholeSqlite(process.argv[1], ${64 * MIB}))`
    const args = ['--input-type=module', '-e', script, join(copy, 'duende.db')]
    const bytes = execFileSync(process.execPath, args, { uid: 65_534, gid: 65_534 })
    const source = join(cli.path, 'whole.db')
    await writeFile(source, bytes)
    const { keys } = await cli.json<Shown>(importing(source))
    assert.deepEqual(
      keys.map(({ kid }) => kid),
      ['in-the-log'],
    )
  })
})

const MODULE = join(import.meta.dirname, '../../src/database/foreign-table.ts')

for (const { name, skip, create } of DATABASES.filter((one) => one.name !== 'SQLite')) {
  describe(`the table of IdentityServer in ${name}`, { skip }, () => {
    it('is refused where it has too many rows, or too many bytes', async () => {
      await using fresh = await create()
      await using cli = await keyturnIn()
      await using stack = new AsyncDisposableStack()
      const database = stack.adopt(await openDatabase(settingsOf(fresh)), (open) => open.destroy())
      const isMariadb = name === 'MariaDB'
      const quoted = (sql: string) => (isMariadb ? sql.replaceAll('"', '`') : sql)
      const table = isMariadb
        ? TABLE.replace('TEXT PRIMARY', 'VARCHAR(255) PRIMARY').replace(
            '"Data" TEXT',
            '"Data" LONGTEXT',
          )
        : TABLE
      await database.query(quoted(table))
      const values = Object.values(await duendeRow('first')).map(String)
      const places = values.map((_, index) => (isMariadb ? '?' : `$${index + 1}`))
      await database.query(quoted(`INSERT INTO "Keys" VALUES (${places})`), values)
      const { keys } = await cli.json<Shown>(importing(fresh.url))
      assert.deepEqual(keys.length, 1)

      const columns = COLUMNS.slice(1).map((column) => `"${column}"`)
      const numbers = isMariadb ? 'seq_1_to_20000' : 'generate_series(1, 20000) AS numbers (seq)'
      const many = `INSERT INTO "Keys" SELECT ${isMariadb ? 'seq' : 'seq::text'}, ${columns}, "DataProtected", 'x'
        FROM "Keys", ${numbers}`
      await database.query(quoted(many))
      const rows = await cli.run(importing(fresh.url))
      assert.match(rows.err, /^input_too_large: .*more than 20000 rows/)

      await database.query(quoted(`DELETE FROM "Keys" WHERE "Id" > '17' OR "Id" LIKE '1__%'`))
      await database.query(quoted(`UPDATE "Keys" SET "Data" = REPEAT('x', ${2 * MIB})`))
      const bytes = await cli.run(importing(fresh.url))
      assert.match(bytes.err, /^input_too_large: .*more than 16777216 bytes/)
    })
  })
}

describe('a key of Dex that ends in the year 9999', () => {
  it('is published without an end, and lists and plans are not the worse for it', async () => {
    await using cli = await keyturnIn()
    const [signing, old] = await Promise.all(
      ['signing', 'old'].map(async (kid) => {
        const { privateKey } = await generateKeyPair('RS256', { extractable: true })
        return { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' }
      }),
    )
    const { n, e, kty } = old ?? {}
    for (const expiry of ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59.999999999Z']) {
      const publicKey = { n, e, kty, kid: 'old', alg: 'RS256', use: 'sig' }
      const source = join(cli.path, 'dex.json')
      const row = { id: 'openid-connect-keys', signing_key: signing, signing_key_pub: signing }
      const retired = [{ publicKey, expiry }]
      await writeFile(source, JSON.stringify([{ ...row, verification_keys: retired }]))
      const { keys } = await cli.json<Shown>(['keys', 'import', 'dex', source, '--apply'])
      assert.match(keys[1]?.publishedUntil ?? '', /^9999-12-31T/)
    }
    for (const command of ['list', 'plan', 'events']) {
      for (const json of [[], ['--json']]) {
        const { status, err } = await cli.run(['keys', command, ...json])
        assert.equal(status, 0, err)
      }
    }
    const { out } = await cli.run(['keys', 'show', 'old'])
    assert.match(out, /9999-12-31/)
  })
})
