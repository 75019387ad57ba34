import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createClientStore } from '../../src/store/clients.ts'
import { migrate, migrationStatus, migrations, openDatabase } from '../../src/store/database.ts'
import { createSqlAccounts, createSqlConsents } from '../../src/store/sql-accounts.ts'
import { createSqlNodes } from '../../src/store/sql-nodes.ts'
import { openSqliteArtifacts } from '../../src/store/sqlite-artifacts.ts'
import { testAccountStore } from '../conformance/account-store.ts'
import { testArtifacts } from '../conformance/artifacts.ts'
import { testConsentStore } from '../conformance/consent-store.ts'
import { testNodeStore } from '../conformance/node-store.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { temporaryFolder } from '../support/temporary.ts'

async function openTestDatabase() {
  const folder = await temporaryFolder()
  const url = `sqlite:${join(folder.path, 'test.db')}`
  const dataSource = await openDatabase(url)
  await migrate(dataSource)
  return {
    url,
    dataSource,
    folder: folder.path,
    close: async () => {
      await dataSource.destroy()
      await folder.remove()
    },
  }
}

testArtifacts('SQLite', async () => {
  const { url, dataSource, close } = await openTestDatabase()
  const clock = createFakeClock()
  const [artifacts, other] = [openSqliteArtifacts(url, clock), openSqliteArtifacts(url, clock)]
  return {
    artifacts,
    other,
    pass: clock.pass,
    dump: async () => JSON.stringify(await dataSource.query('SELECT * FROM artifact')),
    close: async () => {
      await artifacts.close()
      await other.close()
      await close()
    },
  }
})

const openAccounts = async () => {
  const { dataSource, close } = await openTestDatabase()
  return { accounts: createSqlAccounts(dataSource), consents: createSqlConsents(dataSource), close }
}
testNodeStore(
  'SQLite',
  async () => {
    const { url, dataSource, close } = await openTestDatabase()
    const other = await openDatabase(url)
    return {
      store: createSqlNodes(dataSource),
      other: createSqlNodes(other),
      close: async () => {
        await other.destroy()
        await close()
      },
    }
  },
  { hasClock: false },
)
testAccountStore('SQLite', openAccounts)
testConsentStore('SQLite', openAccounts)

describe('the migrations', () => {
  it('make exactly the schema that the entities describe', async () => {
    const { dataSource, close } = await openTestDatabase()
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
    assert.deepEqual(
      upQueries.map(({ query }) => query),
      [],
    )
    await close()
  })

  it('are reported as pending before and as applied after, and a second run does nothing', async () => {
    const folder = await temporaryFolder()
    const dataSource = await openDatabase(`sqlite:${join(folder.path, 'test.db')}`)
    assert.ok((await migrationStatus(dataSource)).every((migration) => !migration.applied))
    assert.equal((await migrate(dataSource)).length, migrations.length)
    assert.deepEqual(await migrate(dataSource), [])
    assert.ok((await migrationStatus(dataSource)).every((migration) => migration.applied))
    await dataSource.destroy()
    await folder.remove()
  })

  it('run once when several processes start on an empty database', async () => {
    await using folder = await temporaryFolder()
    const script = `
      const { migrate, openDatabase } = await import(${JSON.stringify(new URL('../../src/store/database.ts', import.meta.url).href)})
      const dataSource = await openDatabase(process.argv[1])
      process.stdout.write(String((await migrate(dataSource)).length))
      await dataSource.destroy()`
    const url = `sqlite:${join(folder.path, 'test.db')}`
    const runs = Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let output = ''
      child.stdout.on('data', (chunk) => {
        output += chunk
      })
      const [status] = await once(child, 'close')
      assert.equal(status, 0)
      return output
    })
    assert.deepEqual((await Promise.all(runs)).sort(), ['0', '0', '0', `${migrations.length}`])
  })
})

/** Where nothing was handed out. */
const FORGETFUL = { forget: async () => {} }

describe('the clients of the configuration', () => {
  const metadata = { client_id: 'a', redirect_uris: ['https://a.example/'] }

  it('are written, changed and removed as it says, and others stay', async () => {
    const { dataSource, close } = await openTestDatabase()
    const clients = createClientStore({
      dataSource,
      artifacts: FORGETFUL,
      clock: createFakeClock(),
    })
    assert.ok(await clients.add({ client_id: 'by hand', id_token_signed_response_alg: 'ES256' }))
    assert.equal(await clients.add({ client_id: 'by hand' }), false)
    await clients.replaceConfigured([metadata, { client_id: 'b' }])
    await clients.replaceConfigured([{ ...metadata, client_name: 'A' }])
    const found = await clients.list()
    assert.deepEqual(
      found.map(({ id, source }) => [id, source]),
      [
        ['a', 'config'],
        ['by hand', 'operator'],
      ],
    )
    assert.equal(found[0]?.metadata.client_name, 'A')
    assert.deepEqual(await clients.idTokenAlgorithms(), [
      { algorithm: 'ES256', client: 'by hand' },
      { algorithm: 'RS256', client: 'a' },
    ])
    await close()
  })

  it('that go take everything with them that they were given, and nothing of others', async () => {
    const { dataSource, url, close } = await openTestDatabase()
    const clock = createFakeClock()
    const artifacts = openSqliteArtifacts(url, clock)
    const clients = createClientStore({ dataSource, artifacts, clock })
    const consents = createSqlConsents(dataSource)
    const tokens = artifacts.adapter('RefreshToken')
    for (const clientId of ['my_app', 'my-app']) {
      await clients.add({ client_id: clientId })
      await tokens.upsert(clientId, { jti: clientId, clientId }, 60)
      const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {} }
      await consents.save({ accountId: 'ada', clientId, ...wishes, updatedAt: 1 })
    }
    assert.ok(await clients.remove('my_app'))
    assert.equal(await tokens.find('my_app'), undefined)
    assert.equal(await consents.find('ada', 'my_app'), undefined)
    assert.ok(await tokens.find('my-app'))
    assert.ok(await consents.find('ada', 'my-app'))
    await artifacts.close()
    await close()
  })

  it('that stay the same are not written again', async () => {
    const { dataSource, close } = await openTestDatabase()
    const clock = createFakeClock()
    const clients = createClientStore({ dataSource, artifacts: FORGETFUL, clock })
    await clients.replaceConfigured([metadata])
    const before = await clients.find('a')
    await clock.pass(100)
    await clients.replaceConfigured([metadata])
    assert.deepEqual(await clients.find('a'), before)
    await close()
  })
})
