import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openDatabase } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { startServer } from '../../src/server/server.ts'
import { settingsOf } from '../support/databases.ts'

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

/** Every file and folder below a folder, by its mode. */
async function modesIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.map((entry) => join(entry.parentPath, entry.name))
  return new Map(await Promise.all(paths.map(async (path) => [path, await modeOf(path)] as const)))
}

/** With another umask than that of most machines. */
async function withUmask<T>(umask: number, work: () => Promise<T>): Promise<T> {
  const before = process.umask(umask)
  try {
    return await work()
  } finally {
    process.umask(before)
  }
}

for (const umask of [0o022, 0o000, 0o007]) {
  describe(`what Keyturn makes with umask ${umask.toString(8).padStart(3, '0')}`, () => {
    it('only its owner can read: database, log, key-encryption keys and keys', () =>
      withUmask(umask, async () => {
        await using temporary = await temporaryFolder()
        const folder = temporary.path
        const keyStore = { type: 'file', path: join(folder, 'keys') }
        const server = await startServer(await testSettings(folder, { keyStore }), {
          log: pino({ level: 'silent' }),
        })
        const files = await modesIn(folder)
        for (const name of ['keyturn.db', 'keyturn.db-wal', 'keyturn.db-shm', 'kek.jwks']) {
          assert.equal(files.get(join(folder, name)), '600', name)
        }
        // The test itself wrote the configuration.
        for (const [path, mode] of files) {
          if (path.endsWith('.yaml')) continue
          assert.match(mode, /^[67]00$/, path)
        }
        await server.close()
      }))

    it('only its owner can read, also in folders that everybody could enter before', () =>
      withUmask(umask, async () => {
        await using folder = await temporaryFolder()
        for (const name of ['data', 'data/keys']) {
          await mkdir(join(folder.path, name))
          await chmod(join(folder.path, name), 0o755)
        }
        const url = `sqlite:${join(folder.path, 'data', 'keyturn.db')}`
        const dataSource = await openDatabase(settingsOf({ url }))
        await migrate(dataSource)
        const files = await modesIn(join(folder.path, 'data'))
        assert.deepEqual(
          [...files].filter(([path]) => !path.endsWith('keys')).map(([, mode]) => mode),
          ['600', '600', '600'],
        )
        await dataSource.destroy()
      }))
  })
}

describe('a database file', () => {
  it('that a link leads to and that is not there yet is made for its owner alone', async () => {
    await using folder = await temporaryFolder()
    const target = join(folder.path, 'elsewhere.db')
    await symlink(target, join(folder.path, 'keyturn.db'))
    const url = `sqlite:${join(folder.path, 'keyturn.db')}`
    const dataSource = await openDatabase(settingsOf({ url }))
    await migrate(dataSource)
    assert.equal(await modeOf(target), '600')
    await dataSource.destroy()
  })
})

describe('files that other users of the machine can read', () => {
  it('are warned of, each with the command that mends it, and are left as they are', async () => {
    await using folder = await temporaryFolder()
    const settings = { keyStore: { type: 'file', path: join(folder.path, 'keys') } }
    const config = await testSettings(folder.path, settings)
    assert.deepEqual(config.warnings, [])

    const database = join(folder.path, 'keyturn.db')
    const kek = join(folder.path, 'kek.jwks')
    const key = join(folder.path, 'keys', 'keys', 'sig%2FRS256.1.json')
    await mkdir(join(folder.path, 'keys', 'keys'), { recursive: true })
    for (const [path, mode] of [
      [database, 0o644],
      [kek, 0o640],
      [key, 0o604],
    ] as const) {
      await writeFile(path, '')
      await chmod(path, mode)
    }
    const { warnings } = loadConfig({ file: join(folder.path, 'keyturn.yaml'), env: {} })
    for (const path of [database, kek, key]) {
      assert.ok(
        warnings.some((warning) => warning.endsWith(`chmod 600 ${path}`)),
        `${path}: ${warnings}`,
      )
    }
    assert.equal(await modeOf(kek), '640')
    for (const path of [database, kek, key]) await chmod(path, 0o600)
    assert.deepEqual(loadConfig({ file: join(folder.path, 'keyturn.yaml'), env: {} }).warnings, [])
  })

  it('are no directories and no devices, which chmod 600 would make useless', async () => {
    await using folder = await temporaryFolder()
    for (const file of [folder.path, '/dev/null']) {
      const env = { KEYTURN_SEAL__FILE: file, KEYTURN_DATABASE__URL: `sqlite:${folder.path}/k.db` }
      await chmod(folder.path, 0o755)
      const { warnings } = loadConfig({ env })
      assert.ok(!warnings.some((warning) => warning.includes('chmod')), `${file}: ${warnings}`)
    }
  })

  it('are warned of where others can change them only, or put their own in their place', async () => {
    await using folder = await temporaryFolder()
    const config = await testSettings(folder.path)
    const warnings = () =>
      loadConfig({ file: join(folder.path, 'keyturn.yaml'), env: {} }).warnings.join('\n')
    const kek = join(folder.path, 'kek.jwks')
    await writeFile(kek, '')
    for (const mode of [0o602, 0o620, 0o622]) {
      await chmod(kek, mode)
      assert.match(warnings(), /can change .*kek\.jwks .*chmod 600 .*kek\.jwks$/m)
    }
    await chmod(kek, 0o600)

    for (const mode of [0o777, 0o703]) {
      await chmod(folder.path, mode)
      const told = new RegExp(`can put files of their own into .* chmod o-w ${folder.path}$`, 'gm')
      assert.equal(warnings().match(told)?.length, 2, 'for the database and for the key')
    }
    // As /tmp, or a volume whose group is the server's.
    for (const mode of [0o1777, 0o2770, 0o755]) {
      await chmod(folder.path, mode)
      assert.equal(warnings(), config.warnings.join())
    }
  })

  it('are warned of where a variable names them for the key-encryption keys', async () => {
    await using folder = await temporaryFolder()
    await testSettings(folder.path)
    const file = join(folder.path, 'keys.txt')
    await writeFile(file, Buffer.alloc(32, 7).toString('base64url'))
    const env = { KEYTURN_SEAL__KEYS_FILE: file, KEYTURN_SEAL__PROTECTOR: 'environment' }
    const warningsWith = async (mode: number) => {
      await chmod(file, mode)
      const { warnings } = loadConfig({ file: join(folder.path, 'keyturn.yaml'), env })
      return warnings.filter((warning) => warning.includes('chmod'))
    }
    assert.deepEqual(await warningsWith(0o400), [])
    assert.match((await warningsWith(0o444)).join(), /chmod 600 .*keys\.txt/)
  })
})
