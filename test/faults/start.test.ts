import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import Sqlite from 'better-sqlite3-napi'
import { pino } from 'pino'
import { testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { systemClock } from '../../src/clock.ts'
import { startServer } from '../../src/server/server.ts'
import { openStores } from '../../src/server/stores.ts'
import { spawnServer } from '../support/process.ts'

/** Starts that must fail, each with its own error, changing nothing. */

const log = pino({ level: 'silent' })

async function startOnce(folder: string, settings: Record<string, unknown> = {}) {
  const config = await testSettings(folder, settings)
  const server = await startServer(config, { log })
  await server.close()
  return config
}

function keyRows(folder: string) {
  const database = new Sqlite(join(folder, 'keyturn.db'))
  const rows = database.prepare('SELECT * FROM ring_key ORDER BY ring, generation').all()
  database.close()
  return rows
}

describe('a start', () => {
  it('for the second time changes nothing', async () => {
    await using folder = await temporaryFolder()
    const config = await startOnce(folder.path)
    const before = [keyRows(folder.path), await readFile(config.seal.file, 'utf8')]
    const server = await startServer(config, { log })
    assert.deepEqual(server.administrators, [])
    await server.close()
    assert.deepEqual([keyRows(folder.path), await readFile(config.seal.file, 'utf8')], before)
  })

  it('makes an active and a standby key per ring, and an administrator with a one-time password', async () => {
    await using folder = await temporaryFolder()
    const server = await startServer(await testSettings(folder.path), { log })
    const phases = server.issuers[0].scheduler.status.view?.states.map(
      ({ key, phase }) => `${key.ring} ${phase}`,
    )
    assert.deepEqual(phases?.sort(), [
      'cookie active',
      'cookie pre-active',
      'sig/ES256 active',
      'sig/ES256 pre-active',
      'sig/RS256 active',
      'sig/RS256 pre-active',
    ])
    const [administrator] = server.administrators
    assert.ok(administrator?.account.mustChangePassword)
    assert.ok(administrator.oneTimePassword.length >= 16)
    await server.close()
  })

  it('on a store whose only key is a standby makes what other rings need', async () => {
    await using folder = await temporaryFolder()
    // A witness would miss the keys that the test takes away.
    const config = await startOnce(folder.path, { rotation: { witness: 'none' } })
    const database = new Sqlite(join(folder.path, 'keyturn.db'))
    database.prepare("DELETE FROM ring_key WHERE ring IN ('sig/ES256', 'cookie')").run()
    database.prepare("DELETE FROM ring_key WHERE ring = 'sig/RS256' AND generation = 1").run()
    database.close()
    const server = await startServer(config, { log })
    const states = server.issuers[0].scheduler.status.view?.states ?? []
    await server.close()
    const rings = states.filter(({ phase }) => phase === 'active').map(({ key }) => key.ring)
    assert.deepEqual(rings.toSorted(), ['cookie', 'sig/ES256'])
  })

  it('that finds its port taken leaves the first administrator to the next, which shows the password', async () => {
    await using folder = await temporaryFolder()
    const config = await testSettings(folder.path)
    const other = createServer().listen(config.http.port, config.http.host)
    await once(other, 'listening')
    await assert.rejects(startServer(config, { log }), /EADDRINUSE/)
    other.close()
    await once(other, 'close')
    const server = await startServer(config, { log })
    assert.equal(server.administrators.length, 1)
    await server.close()
  })

  it('with the key-encryption key gone fails and makes no new one', async () => {
    await using folder = await temporaryFolder()
    const config = await startOnce(folder.path)
    const before = keyRows(folder.path)
    await rm(config.seal.file)
    await assert.rejects(startServer(config, { log }), { code: 'kek_missing' })
    assert.ok(!(await readdir(folder.path)).includes('kek.jwks'))
    assert.deepEqual(keyRows(folder.path), before)
  })

  it('with an empty key-encryption key file fails with another error', async () => {
    await using folder = await temporaryFolder()
    const config = await startOnce(folder.path)
    await truncate(config.seal.file)
    await assert.rejects(startServer(config, { log }), { code: 'kek_empty' })
  })

  it('with an unreadable key-encryption key file fails with a third', async () => {
    await using folder = await temporaryFolder()
    const config = await startOnce(folder.path)
    await writeFile(config.seal.file, '{"keys": [{"kty"')
    await assert.rejects(startServer(config, { log }), { code: 'kek_unreadable' })
  })

  it('with a key-encryption key of another deployment says which one is missing', async () => {
    await using folder = await temporaryFolder()
    const config = await startOnce(folder.path)
    const before = keyRows(folder.path)
    const k = randomBytes(32).toString('base64url')
    await writeFile(config.seal.file, JSON.stringify({ keys: [{ kty: 'oct', k }] }))
    await assert.rejects(startServer(config, { log }), (error: Error & { code: string }) => {
      assert.equal(error.code, 'kek_missing')
      assert.match(error.message, /sealed under key-encryption key [\w-]{43}/)
      return true
    })
    assert.deepEqual(keyRows(folder.path), before)
  })

  it('with an edited field of a stored key names the key and the field, and replaces nothing', async () => {
    await using folder = await temporaryFolder()
    const config = await startOnce(folder.path)
    const database = new Sqlite(join(folder.path, 'keyturn.db'))
    database.prepare("UPDATE ring_key SET activates_at = 1 WHERE ring = 'sig/RS256'").run()
    database.close()
    const before = keyRows(folder.path)
    await assert.rejects(startServer(config, { log }), (error: Error & { code: string }) => {
      assert.equal(error.code, 'seal_broken')
      assert.match(error.message, /field activatesAt was edited/)
      return true
    })
    assert.deepEqual(keyRows(folder.path), before)
  })

  it('with a half-written key file names the file and keeps it; a draft is passed over', async () => {
    await using folder = await temporaryFolder()
    const config = await startOnce(folder.path, {
      keyStore: { type: 'file', path: join(folder.path, 'ring') },
    })
    const keys = join(folder.path, 'ring', 'keys')
    const [name = ''] = await readdir(keys)
    await writeFile(join(keys, `${name}.1234.draft`), '{"id": "ha')
    const server = await startServer(config, { log })
    await server.close()
    const text = await readFile(join(keys, name), 'utf8')
    await truncate(join(keys, name), Math.floor(text.length / 2))
    await assert.rejects(startServer(config, { log }), (error: Error & { code: string }) => {
      assert.equal(error.code, 'store_unreadable')
      assert.ok(error.message.includes(name))
      return true
    })
    assert.equal((await readFile(join(keys, name), 'utf8')).length, Math.floor(text.length / 2))
  })

  it('with a pipe or a device in the place of a key file or the witness names it, and waits for nothing', {
    timeout: 60_000,
  }, async () => {
    await using folder = await temporaryFolder()
    const ring = join(folder.path, 'ring')
    const witness = join(folder.path, 'witness.json')
    const config = await startOnce(folder.path, {
      keyStore: { type: 'file', path: ring },
      rotation: { witness },
    })
    for (const path of [join(ring, 'keys', 'a.json'), join(ring, 'events', 'a.json'), witness]) {
      for (const make of [() => execFileSync('mkfifo', [path]), () => symlink('/dev/zero', path)]) {
        await rm(path, { force: true })
        await make()
        await assert.rejects(startServer(config, { log }), (error: Error & { code: string }) => {
          assert.equal(error.code, 'store_unavailable')
          assert.ok(error.message.includes(`${path} is no file`), error.message)
          return true
        })
      }
      await rm(path)
    }
  })

  for (const [property, what] of [
    ['id_token_signed_response_alg', 'its ID tokens'],
    ['userinfo_signed_response_alg', 'userinfo'],
    ['introspection_signed_response_alg', 'answers to introspection'],
    ['authorization_signed_response_alg', 'authorization responses'],
  ] as const) {
    it(`with a client whose ${property} has no ring is refused, with the way out`, async () => {
      await using folder = await temporaryFolder()
      const config = await testSettings(folder.path, { clients: [] })
      await startServer(config, { log }).then((server) => server.close())
      const stores = (await openStores(config, systemClock)).of(config.issuer)
      const redirect_uris = ['https://old.example/']
      await stores.clients.add({ client_id: 'new', redirect_uris, [property]: 'ES256' })
      await stores.clients.add({ client_id: 'old', redirect_uris, [property]: 'PS256' })
      await stores.close()
      await assert.rejects(startServer(config, { log }), (error: Error & { code: string }) => {
        assert.equal(error.code, 'client_without_ring')
        assert.match(error.message, /PS256, but no ring has this algorithm. Add "sig\/PS256: \{\}"/)
        assert.ok(error.message.startsWith(`Client old wants ${what} signed`), error.message)
        return true
      })
    })
  }

  it('on a file that is no database says so', async () => {
    await using folder = await temporaryFolder()
    await writeFile(
      join(folder.path, 'keyturn.db'),
      'this is not a database, it is a text of some length',
    )
    const config = await testSettings(folder.path)
    await assert.rejects(startServer(config, { log }), { code: 'store_unavailable' })
  })

  it('with a store module of the deployment uses it, and refuses one that lacks a method', async () => {
    await using folder = await temporaryFolder()
    const source = new URL('../../src/ring/memory-key-store.ts', import.meta.url).href
    const good = join(folder.path, 'good.mjs')
    await writeFile(
      good,
      `export { createMemoryKeyStore as createKeyStore } from ${JSON.stringify(source)}\n`,
    )
    await startOnce(folder.path, { keyStore: { type: 'module', module: good } })
    assert.deepEqual(keyRows(folder.path), [])
    const bad = join(folder.path, 'bad.mjs')
    await writeFile(bad, 'export const createKeyStore = () => ({ load() {} })\n')
    const config = await testSettings(folder.path, { keyStore: { type: 'module', module: bad } })
    await assert.rejects(
      startServer(config, { log }),
      /has no addKey, addTogether, eraseKey, removeKey, addEvents/,
    )
  })
})

const NOBODY = 65534
const notRoot = process.platform !== 'linux' || process.getuid?.() !== 0

describe('a data directory', () => {
  it('that is read-only stops the start with a reason', {
    skip: notRoot && 'needs root, to become somebody else',
  }, async () => {
    await using folder = await temporaryFolder()
    const data = join(folder.path, 'data')
    await mkdir(data)
    await testSettings(folder.path, {
      database: { url: `sqlite:${join(data, 'keyturn.db')}` },
      seal: { file: join(data, 'kek.jwks') },
    })
    await chmod(folder.path, 0o755)
    await chmod(data, 0o555)
    const server = spawnServer(join(folder.path, 'keyturn.yaml'), { uid: NOBODY })
    assert.equal(await server.ended, 1)
    assert.match(server.output(), /Cannot open the database .*: .*(writable|read-only)/)
    assert.doesNotMatch(server.output(), /\n\s+at /)
  })

  it('that is full keeps the server signing, says why it is not turning, and recovers', {
    skip: notRoot && 'needs root, to mount a small file system',
  }, async () => {
    await using folder = await temporaryFolder()
    const disk = join(folder.path, 'disk')
    await mkdir(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk])
    using _mounted = { [Symbol.dispose]: () => execFileSync('umount', [disk]) }
    const config = await testSettings(folder.path, {
      keyStore: { type: 'file', path: join(disk, 'ring') },
    })
    const server = await startServer(config, { log })
    const filler = join(disk, 'filler')
    await writeFile(filler, Buffer.alloc(4_000_000)).catch(() => {})
    const { kid } =
      server.issuers[0].scheduler.status.view?.states.find((s) => s.phase === 'active')?.key ?? {}
    const { createFileKeyStore } = await import('../../src/ring/file-key-store.ts')
    const store = createFileKeyStore(join(disk, 'ring'))
    const before = await store.load()
    const [first] = before.keys
    assert.ok(first)
    await assert.rejects(
      store.addKey({ ...first, id: 'next', generation: 99, data: 'x'.repeat(50_000) }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'store_unavailable')
        assert.match(error.message, /disk is full/)
        return true
      },
    )
    assert.deepEqual(await store.load(), before, 'a part of a key was left behind')
    await server.issuers[0].scheduler.runOnce()
    assert.equal(
      server.issuers[0].scheduler.status.view?.states.find((s) => s.phase === 'active')?.key.kid,
      kid,
    )
    await rm(filler)
    assert.equal((await store.addKey({ ...first, id: 'next', generation: 99 })).id, 'next')
    await store.removeKey('next')
    await server.close()
  })

  it('that belongs to somebody else stops the start with a reason', {
    skip: notRoot && 'needs root, to become somebody else',
  }, async () => {
    await using folder = await temporaryFolder()
    await startOnce(folder.path)
    await chmod(folder.path, 0o755)
    await chown(join(folder.path, 'kek.jwks'), 0, 0)
    const server = spawnServer(join(folder.path, 'keyturn.yaml'), { uid: NOBODY })
    assert.equal(await server.ended, 1)
    assert.match(server.output(), /Cannot .*(read-only|opened|permission)/)
  })
})
