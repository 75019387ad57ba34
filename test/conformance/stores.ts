import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DataSource } from 'typeorm'
import { testKeyStore } from '../../src/conformance/key-store.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createKnownIssuers } from '../../src/database/known-issuers.ts'
import { createSqlAccounts, createSqlConsents } from '../../src/database/sql-accounts.ts'
import { createSqlAudit } from '../../src/database/sql-audit.ts'
import { createClientStore } from '../../src/database/sql-clients.ts'
import { createSqlKeyStores } from '../../src/database/sql-key-stores.ts'
import { createSqlNodes } from '../../src/database/sql-nodes.ts'
import { auditSchema } from '../../src/database/tables.ts'
import { openArtifacts } from '../../src/server/open-artifacts.ts'
import { onlyIssuerOf, openArtifactsOf } from '../support/artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { empty, settingsOf } from '../support/databases.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { testAccountStore } from './account-store.ts'
import { testArtifacts } from './artifacts.ts'
import { testAudit } from './audit.ts'
import { testClientStore } from './client-store.ts'
import { testConsentStore } from './consent-store.ts'
import { testNodeStore } from './node-store.ts'

const ISSUER = 'https://issuer.example'
/** Another one in the same place. */
const ELSEWHERE = 'https://elsewhere.example'

/**
 * Every contract on one database, which is emptied before each test.
 * @param database a database with its tables, once the tests run
 */
export function testStores(
  name: string,
  database: () => { readonly url: string; readonly dataSource: DataSource },
): void {
  testKeyStore({ describe, it }, name, async () => {
    const { dataSource } = database()
    await empty(dataSource)
    const second = await openDatabase(settingsOf(database()))
    const [stores, others] = [dataSource, second].map((each) =>
      createSqlKeyStores(each, createKnownIssuers(each)),
    )
    assert.ok(stores && others)
    return {
      store: stores.of(ISSUER),
      other: others.of(ISSUER),
      elsewhere: stores.of(ELSEWHERE),
      close: () => second.destroy(),
    }
  })

  const openAccounts = async () => {
    const { dataSource } = database()
    await empty(dataSource)
    const open = (issuer: string) => {
      const authentic = testAuthentic({ issuer })
      return {
        accounts: createSqlAccounts(dataSource, authentic),
        consents: createSqlConsents(dataSource, authentic),
      }
    }
    return { ...open(ISSUER), elsewhere: open(ELSEWHERE) }
  }
  testAccountStore(name, openAccounts)
  testConsentStore(name, openAccounts)

  testNodeStore(
    name,
    async () => {
      const { dataSource } = database()
      await empty(dataSource)
      const second = await openDatabase(settingsOf(database()))
      return {
        store: createSqlNodes(dataSource),
        other: createSqlNodes(second),
        close: () => second.destroy(),
      }
    },
    { hasClock: name !== 'SQLite' },
  )

  testAudit(name, async () => {
    const { dataSource } = database()
    await empty(dataSource)
    const second = await openDatabase(settingsOf(database()))
    const artifacts = { forget: async () => {}, forgetClients: () => {} }
    const open = (through: DataSource, issuer = ISSUER) => {
      const authentic = testAuthentic({ issuer })
      const common = { dataSource: through, authentic, artifacts, clock: createFakeClock() }
      return {
        accounts: createSqlAccounts(through, authentic),
        audit: createSqlAudit(through, authentic),
        clients: createClientStore(common),
      }
    }
    return {
      ...open(dataSource),
      other: open(second),
      elsewhere: open(dataSource, ELSEWHERE),
      rows: dataSource.getRepository(auditSchema),
      refuseRecords: () => refuseRecords(dataSource),
      close: () => second.destroy(),
    }
  })

  const openTwice = async () => {
    const { dataSource } = database()
    await empty(dataSource)
    const clock = createFakeClock()
    const settings = { database: settingsOf(database()) }
    const authentic = testAuthentic()
    const place = await openArtifacts(settings, { clock })
    const artifacts = onlyIssuerOf(place, authentic)
    const other = await openArtifactsOf(settings, { authentic: testAuthentic(), clock })
    return {
      authentic,
      artifacts,
      other,
      elsewhere: onlyIssuerOf(place, testAuthentic({ issuer: ELSEWHERE })),
      clock,
      pass: clock.pass,
      dump: async () => JSON.stringify(await dataSource.query('SELECT * FROM artifact')),
      close: async () => {
        await artifacts.close()
        await other.close()
      },
    }
  }
  testArtifacts(name, openTwice)
  testClientStore(name, async () => {
    const opened = await openTwice()
    const { dataSource } = database()
    const theirs = testAuthentic({ issuer: ELSEWHERE })
    const artifacts = opened.elsewhere
    return {
      ...opened,
      clients: createClientStore({ dataSource, ...opened }),
      consents: createSqlConsents(dataSource, opened.authentic),
      elsewhere: {
        artifacts,
        clients: createClientStore({ ...opened, dataSource, artifacts, authentic: theirs }),
        consents: createSqlConsents(dataSource, theirs),
      },
    }
  })
}

/** Makes the database refuse each new record of an order, until disposed. */
async function refuseRecords(dataSource: DataSource): Promise<AsyncDisposable> {
  const isSqlite = dataSource.options.type === 'better-sqlite3'
  const [begin, end] = isSqlite
    ? [
        "CREATE TRIGGER refused BEFORE INSERT ON audit_record BEGIN SELECT RAISE(ABORT, 'no'); END",
        'DROP TRIGGER refused',
      ]
    : [
        'ALTER TABLE audit_record ADD CONSTRAINT refused CHECK (number < 0)',
        'ALTER TABLE audit_record DROP CONSTRAINT refused',
      ]
  await dataSource.query(begin)
  return { [Symbol.asyncDispose]: () => dataSource.query(end) }
}
