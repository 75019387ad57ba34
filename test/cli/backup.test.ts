import assert from 'node:assert/strict'
import { copyFile, cp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { systemClock } from '../../src/clock.ts'
import { DATABASES } from '../support/databases.ts'
import { DAY, keyturnIn } from './keyturn.ts'

describe('keyturn backup', () => {
  it('writes database and key-encryption keys for their owner alone, and never the witness', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const folder = join(cli.path, 'backup')
    // Somebody writes meanwhile: what is committed in the log of SQLite belongs to the backup.
    const before = await cli.withStores(async () => {
      const answer = await cli.run(['backup', folder])
      assert.equal(answer.status, 0, answer.err)
      assert.match(answer.out, /^Leave out .*not-in-backups\/kek-witness\.json/m)
      return cli.json(['keys', 'list'])
    })
    assert.deepEqual((await readdir(folder)).sort(), ['kek.jwks', 'keyturn.db'])
    for (const name of ['kek.jwks', 'keyturn.db']) {
      assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name)
    }
    assert.equal((await stat(folder)).mode & 0o777, 0o700)

    for (const end of ['', '-wal', '-shm']) {
      await rm(join(cli.path, `keyturn.db${end}`), { force: true })
    }
    await copyFile(join(folder, 'keyturn.db'), join(cli.path, 'keyturn.db'))
    assert.ok(before.length > 0)
    assert.deepEqual(await cli.json(['keys', 'list']), before)
  })

  it('says that kept rings of ASP.NET Core are not in it', async () => {
    await using cli = await keyturnIn({
      KEYTURN_DATA_PROTECTION__RINGS: '[{ name: shop, directory: /keys }]',
    })
    await cli.makeRings(DAY)
    const { status, out } = await cli.run(['backup', join(cli.path, 'backup')])
    assert.equal(status, 0)
    assert.match(out, /^Not in it: data-protection\/shop\. Back up each where it is kept/m)
  })

  it('names the witness of each issuer, which must never be restored', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const file = join(cli.path, 'several.yaml')
    const issuers = ['a', 'b'].map((name) => ({ issuer: `http://localhost:3000/${name}` }))
    await writeFile(file, JSON.stringify({ issuers }))
    const { status, out, err } = await cli.run(['backup', join(cli.path, 'b'), '-c', file])
    assert.equal(status, 0, err)
    for (const end of ['-localhost-3000-a-\\w+.json', '-localhost-3000-b-\\w+.json']) {
      assert.match(out, new RegExp(`^Leave out .*${end}`, 'm'))
    }
  })

  it('takes a directory of keys along, and leaves the key-encryption keys out where that is asked for', async () => {
    await using ring = await temporaryFolder()
    await using cli = await keyturnIn({
      KEYTURN_KEY_STORE__TYPE: 'file',
      KEYTURN_KEY_STORE__PATH: join(ring.path, 'ring'),
    })
    await cli.makeRings(DAY)
    await cli.json(['keys', 'revoke', (await cli.json(['keys', 'list']))[0]?.kid ?? ''])
    const before = await cli.json(['keys', 'list'])
    const folder = join(cli.path, 'backup')
    const { written } = await cli.json<{ written: string[] }>(['backup', folder, '--no-kek'])
    assert.deepEqual(written, [join(folder, 'keyturn.db'), join(folder, 'ring')])
    assert.deepEqual((await readdir(folder)).sort(), ['keyturn.db', 'ring'])
    await rm(join(ring.path, 'ring'), { recursive: true })
    await cp(join(folder, 'ring'), join(ring.path, 'ring'), { recursive: true })
    assert.deepEqual(await cli.json(['keys', 'list']), before)
  })

  it('writes into no folder that holds something', async () => {
    await using cli = await keyturnIn()
    const answer = await cli.run(['backup', cli.path])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /holds something already/)
  })

  it('that is cut off leaves nothing that could be taken for a database', async () => {
    await using cli = await keyturnIn()
    const database = join(cli.path, 'keyturn.db')
    await rm(`${database}-wal`, { force: true })
    await writeFile(database, 'this is no database, so that the copy ends half-way')
    const folder = join(cli.path, 'backup')
    assert.equal((await cli.run(['backup', folder, '--no-kek'])).status, 1)
    assert.ok(!(await readdir(folder)).includes('keyturn.db'))
  })

  it('writes nothing where the key-encryption keys cannot be read, unless told to leave them out', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    await rm(join(cli.path, 'kek.jwks'))
    const folder = join(cli.path, 'backup')
    const answer = await cli.run(['backup', folder])
    assert.equal(answer.status, 1)
    assert.match(
      answer.err,
      /key-encryption keys \(seal\.file\) cannot be backed up: .*kek\.jwks.*--no-kek/,
    )
    assert.deepEqual(await readdir(folder), [])
    assert.equal((await cli.run(['backup', folder, '--no-kek'])).status, 0)
  })

  it('does not pass over key-encryption keys whose file is named as the database is', async () => {
    await using folder = await temporaryFolder()
    await using cli = await keyturnIn({ KEYTURN_SEAL__FILE: join(folder.path, 'keyturn.db') })
    await cli.makeRings(DAY)
    const answer = await cli.run(['backup', join(cli.path, 'backup')])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /key-encryption keys are not in the backup/)
  })

  it('names the tool of a database server', async () => {
    for (const [url, tool] of [
      ['postgres://u@127.0.0.1:1/k', 'pg_dump'],
      ['mysql://u@127.0.0.1:1/k', 'mariadb-dump'],
    ] as const) {
      await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: url })
      const answer = await cli.run(['backup', join(cli.path, 'backup')])
      assert.equal(answer.status, 1)
      assert.ok(answer.err.includes(tool), answer.err)
    }
  })
})

describe('keyturn db copy', () => {
  for (const { name, skip, create } of DATABASES) {
    it(`takes keys, events, clients and people from SQLite to ${name} and back`, {
      skip,
    }, async () => {
      await using cli = await keyturnIn()
      await cli.makeRings(DAY)
      const rows = await cli.json(['keys', 'list'])
      await cli.json(['keys', 'revoke', rows[0]?.kid ?? ''])
      await cli.run(['accounts', 'add', 'ada', '--name', 'Ada Lovelace'])
      const seen = async (each: Pick<typeof cli, 'json'>) => [
        await each.json(['keys', 'list']),
        await each.json(['keys', 'events']),
        await each.json(['accounts', 'list']),
        await each.json(['accounts', 'events']),
        await each.json(['clients', 'list']),
      ]
      const before = await seen(cli)

      await using target = await create()
      const first = await cli.run(['db', 'copy', '--to', target.url])
      assert.equal(first.status, 0, first.err)
      assert.match(first.out, /^Copied {3}ring_key: 7|^Copied {3}ring_key: 8/m)
      const seal = { KEYTURN_SEAL__FILE: cli.config.seal.file }
      await using moved = await keyturnIn({ KEYTURN_DATABASE__URL: target.url, ...seal })
      assert.deepEqual(await seen(moved), before)

      const again = await cli.run(['db', 'copy', '--to', target.url])
      assert.equal(again.status, 1)
      assert.match(again.err, /holds something already/)

      await using back = await keyturnIn(seal)
      const returned = await moved.run(['db', 'copy', '--to', back.config.database.url])
      assert.equal(returned.status, 0, returned.err)
      assert.deepEqual(await seen(back), before)
    })
  }

  it('is refused while a node runs', async () => {
    await using cli = await keyturnIn()
    const now = systemClock.now()
    await cli.withStores(({ nodes }) =>
      nodes.report({
        id: 'busy-1',
        version: '1.0.0',
        issuer: 'http://localhost:3000',
        startedAt: now,
        seenAt: now,
        ringHash: '',
        ringAge: 0,
        clockOffset: null,
        kids: [],
        obstacle: null,
      }),
    )
    await using other = await keyturnIn()
    const answer = await cli.run(['db', 'copy', '--to', other.config.database.url])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /^Nothing is copied while nodes run: busy-1\./)
  })

  it('reads a URL with a password from a file, and refuses what is no database', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    await using other = await keyturnIn({ KEYTURN_SEAL__FILE: cli.config.seal.file })
    await writeFile(join(cli.path, 'url'), `${other.config.database.url}\n`)
    const copied = await cli.run(['db', 'copy', '--to', `@${join(cli.path, 'url')}`])
    assert.equal(copied.status, 0, copied.err)
    assert.deepEqual(await other.json(['keys', 'list']), await cli.json(['keys', 'list']))
    for (const url of ['http://nowhere/k', 'postgres://host', 'keyturn.db']) {
      const answer = await cli.run(['db', 'copy', '--to', url])
      assert.equal(answer.status, 1, url)
      assert.match(answer.err, /^--to is not the URL of a database for Keyturn\. It must be /)
    }
    const silent = await cli.run(['db', 'copy', '--to', 'postgres://u:p@127.0.0.1:1/k'])
    assert.match(silent.err, /are host and port of --to right/)
    const missing = await cli.run(['db', 'copy', '--to', `@${join(cli.path, 'nowhere')}`])
    assert.equal(missing.status, 1)
    assert.match(missing.err, /^The file .*nowhere cannot be read: ENOENT/)
  })
})
