import assert from 'node:assert/strict'
import { createSecretKey, randomUUID } from 'node:crypto'
import files, { rm, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { EntitySchema } from 'typeorm'
import { stringify } from 'yaml'
import { temporaryFolder } from '../../lab/temporary.ts'
import { compareSecret } from '../../src/clients/client-secret.ts'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { toRow } from '../../src/database/account-row.ts'
import { createAuthentic } from '../../src/database/authentic.ts'
import { writeBackup } from '../../src/database/backup.ts'
import { migrations, openDatabase, sqlitePath } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import {
  accountSchema,
  clientSchema,
  consentSchema,
  keyEventSchema,
  keySchema,
  type Owned,
} from '../../src/database/tables.ts'
import { abandonLosses } from '../../src/ring/abandon.ts'
import { deploymentOf } from '../../src/ring/deployment.ts'
import { generateKey } from '../../src/ring/generate.ts'
import { keyEvent } from '../../src/ring/key.ts'
import { openKeys } from '../../src/ring/protector.ts'
import { createDeploymentSealer } from '../../src/ring/sealer.ts'
import { fileProtector } from '../../src/seal/protector.ts'
import { type IssuerStores, openStores, type Stores } from '../../src/server/stores.ts'
import { DATABASES, openAsBefore, type TestedDatabase } from '../support/databases.ts'
import { createAccount, rememberConsent } from '../support/memory-accounts.ts'
import { record } from '../support/sealer.ts'

const [FIRST, SECOND, THIRD] = ['https://one.example', 'https://two.example/t', 'https://3.example']
const SECRET = 'a secret of forty characters, or of more'

/** A place in which issuers keep what they have, opened as often as a test likes. */
async function createPlace(type: 'database' | 'file', database: TestedDatabase = sqlite()) {
  const folder = await temporaryFolder()
  const { url, drop } = await database.create()
  const configOf = async (issuers: readonly string[]): Promise<Config> => {
    // A file of its own, because others that open the place at the same time would read half of it.
    const file = join(folder.path, `${randomUUID()}.yaml`)
    const [issuer] = issuers
    const named =
      issuers.length === 1 ? { issuer } : { issuers: issuers.map((each) => ({ issuer: each })) }
    const settings = {
      ...named,
      database: { url, connections: 4 },
      seal: { file: join(folder.path, 'kek.jwks') },
      keyStore: { type, path: join(folder.path, 'keys') },
    }
    await writeFile(file, stringify(settings))
    return loadConfig({ file, env: {} })
  }
  return {
    folder: folder.path,
    url,
    configOf,
    with: async <T>(
      issuers: readonly string[],
      work: (stores: Stores) => Promise<T>,
      options?: { readonly ofAnyIssuer: boolean },
    ): Promise<T> => {
      const stores = await openStores(await configOf(issuers), systemClock, () => {}, options)
      try {
        return await work(stores)
      } finally {
        await stores.close()
      }
    },
    [Symbol.asyncDispose]: async () => {
      await drop()
      await folder.remove()
    },
  }
}

function sqlite(): TestedDatabase {
  const [first] = DATABASES
  assert.ok(first)
  return first
}

const KEY = { ring: 'sig/ES256', algorithm: 'ES256', createdAt: 7, activatesAt: 7, retention: 9 }

/** A key, a revocation, a person, a client with a secret that is sealed, and a consent. */
async function fill(stores: IssuerStores, name = 'ada') {
  const sealer = await stores.openSealer()
  const { kid, jwk } = await generateKey('ES256')
  await stores.keys.addKey(await sealer.seal({ ...KEY, kid, generation: 1 }, jwk, []))
  const order = { at: 8, reason: 'test', actor: 'test' } as const
  await record(stores.keys, sealer, { ...order, type: 'revoke', ring: KEY.ring, kid: 'another' })
  const person = createAccount({ username: name })
  const { at, reason, actor } = order
  await stores.accounts.add(person, { at, reason, actor, action: 'account_added' })
  await stores.clients.add({ client_id: 'web', client_secret: 'short', client_name: name })
  await stores.clients.add({ client_id: 'hashed', client_secret: SECRET })
  const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {}, updatedAt: 1 }
  await rememberConsent(stores.consents, { accountId: person.id, clientId: 'web', ...wishes })
  return { kid, person }
}

/** Everything that `fill` made is there, and genuine. */
async function assertFilled(
  stores: IssuerStores,
  { kid, person }: Awaited<ReturnType<typeof fill>>,
): Promise<void> {
  const sealer = await stores.openSealer()
  const { keys, events } = await stores.keys.load()
  const opened = await Promise.all(
    keys.filter(({ ring }) => ring === KEY.ring).map((key) => sealer.open(key)),
  )
  assert.deepEqual(
    opened.map((key) => [key.kid, key.hasPrivateHalf]),
    [[kid, true]],
  )
  const checked = await sealer.openEvents(events)
  assert.deepEqual([checked.events.length, checked.forged], [1, []])
  assert.deepEqual(await stores.accounts.findByUsername(person.username), person)
  assert.equal((await stores.clients.find('web'))?.metadata.client_secret, 'short')
  const hashed = (await stores.clients.find('hashed'))?.metadata.client_secret
  assert.ok(compareSecret(`${hashed}`, SECRET))
  assert.ok(await stores.consents.find(person.id, 'web'))
}

/** The one record that `fill` made is there, and genuine. */
async function assertRecorded(
  { audit }: IssuerStores,
  { person }: Awaited<ReturnType<typeof fill>>,
): Promise<void> {
  assert.deepEqual(
    (await audit.list()).map(({ subject, isForged }) => [subject.id, isForged]),
    [[person.id, false]],
  )
}

for (const type of ['database', 'file'] as const) {
  describe(`issuers that keep their keys in a ${type}`, () => {
    it('share one secret, and nothing else', async () => {
      await using place = await createPlace(type)
      await place.with([FIRST, SECOND], async (stores) => {
        const [one, two] = [stores.of(FIRST), stores.of(SECOND)]
        const made = [await fill(one), await fill(two)] as const
        await assertFilled(one, made[0])
        await assertFilled(two, made[1])
        await assertRecorded(one, made[0])
        await assertRecorded(two, made[1])
        assert.deepEqual(await stores.issuers.list(), [
          { issuer: FIRST, keys: 1, accounts: 1, clients: 2 },
          { issuer: SECOND, keys: 1, accounts: 1, clients: 2 },
        ])
        const { keys } = await stores.of(THIRD).keys.load()
        assert.deepEqual(
          keys.map(({ ring }) => ring),
          ['deployment'],
        )
      })
    })

    it('is refused where the configuration names another one, and taken where it names one more', async () => {
      await using place = await createPlace(type)
      const made = await place.with([FIRST], (stores) => fill(stores.of(FIRST)))
      await assert.rejects(
        place.with([SECOND], async () => {}),
        { code: 'issuer_changed' },
      )
      await place.with([SECOND, FIRST], async (stores) => {
        await assertFilled(stores.of(FIRST), made)
        assert.equal(await stores.of(SECOND).accounts.isEmpty(), true)
      })
    })

    it('takes its keys, people and clients along to another URL, and back', async () => {
      await using place = await createPlace(type)
      const [made, others] = await place.with([FIRST, THIRD], async (stores) => {
        await stores.of(FIRST).artifacts.adapter('Session').upsert('s', { jti: 's', uid: 'u' }, 60)
        return [await fill(stores.of(FIRST)), await fill(stores.of(THIRD), 'eve')] as const
      })
      const rename = (from: string, to: string) =>
        place.with([to], (stores) => stores.issuers.rename(from, to), { ofAnyIssuer: true })
      await assert.rejects(rename(FIRST, THIRD), { code: 'issuer_taken' })
      await assert.rejects(rename(SECOND, THIRD), { code: 'issuer_not_found' })
      for (const [from, to] of [
        [FIRST, SECOND],
        [SECOND, FIRST],
        [FIRST, SECOND],
      ] as const) {
        const counts = { keys: 1, accounts: 1, clients: 2 }
        assert.deepEqual(await rename(from, to), { issuer: to, ...counts })
        await place.with([to, THIRD], async (stores) => {
          await assertFilled(stores.of(to), made)
          await assertFilled(stores.of(THIRD), others)
          await assertRecorded(stores.of(to), made)
          await assertRecorded(stores.of(THIRD), others)
        })
      }
      await place.with([SECOND, THIRD], async (stores) => {
        const sessions = stores.of(SECOND).artifacts.adapter('Session')
        assert.equal(await sessions.findByUid('u'), undefined, 'everybody signs in again')
      })
      // The former name is the other one's until somebody gives it back.
      await assert.rejects(
        place.with([SECOND, FIRST], (stores) => stores.of(FIRST).openSealer()),
        { code: 'issuer_renamed' },
      )
    })
  })
}

describe('renaming an issuer', () => {
  /** Lets it fail where rows move, or at the end, when they have. */
  const CUTS = {
    'rows moved': 'BEFORE UPDATE OF issuer ON consent',
    'it ended': `BEFORE UPDATE OF data ON ring_key
      WHEN old.ring = 'deployment' AND EXISTS (SELECT 1 FROM account WHERE issuer = '${SECOND}')`,
  }
  for (const [when, cut] of Object.entries(CUTS)) {
    it(`can be done again where it was cut off before ${when}`, async () => {
      await using place = await createPlace('database')
      const made = await place.with([FIRST], async (stores) => fill(stores.of(FIRST)))
      const attempt = () =>
        place.with([SECOND], (stores) => stores.issuers.rename(FIRST, SECOND), {
          ofAnyIssuer: true,
        })
      const dataSource = await openDatabase({ url: place.url, connections: 2, timeout: 5 })
      await dataSource.query(
        `CREATE TRIGGER cut_off ${cut} BEGIN SELECT RAISE(ABORT, 'cut off'); END`,
      )
      await assert.rejects(attempt(), /cut off/)
      await dataSource.query('DROP TRIGGER cut_off')
      await dataSource.destroy()
      await attempt()
      await place.with([SECOND], (stores) => assertFilled(stores.of(SECOND), made))
      await assert.rejects(
        place.with([SECOND, FIRST], (stores) => stores.of(FIRST).openSealer()),
        { code: 'issuer_renamed' },
      )
    })
  }
})

describe('renaming an issuer with keys in a folder', () => {
  it('can be done again where it was cut off before the folder moved', async (t) => {
    await using place = await createPlace('file')
    await place.with([FIRST], async (stores) => fill(stores.of(FIRST)))
    const before = [FIRST, SECOND]
    const made = await place.with(before, async (stores) => fill(stores.of(SECOND)))
    const attempt = () =>
      place.with(before, (stores) => stores.issuers.rename(SECOND, THIRD), { ofAnyIssuer: true })
    const original = files.rename
    const mock = t.mock.method(files, 'rename', async (from: string, to: string) => {
      if (!from.endsWith('.draft')) throw new Error('cut off')
      await original(from, to)
    })
    syncBuiltinESMExports()
    await assert.rejects(attempt(), /cut off/)
    mock.mock.restore()
    syncBuiltinESMExports()
    assert.equal((await attempt()).keys, 1)
    await place.with([FIRST, THIRD], (stores) => assertFilled(stores.of(THIRD), made))
  })
})

describe('two issuers of one deployment', () => {
  it('come back from one backup, with their keys in folders', async () => {
    await using place = await createPlace('file')
    const made = await place.with([FIRST, SECOND], async (stores) => [
      await fill(stores.of(FIRST)),
      await fill(stores.of(SECOND)),
    ])
    const config = await place.configOf([FIRST, SECOND])
    const folder = join(place.folder, 'backup')
    await writeBackup(folder, {
      database: sqlitePath(config.database.url),
      keys: config.keyStore.path,
      kek: config.seal.file,
    })
    const restored = {
      ...config,
      database: { ...config.database, url: `sqlite:${join(folder, 'test.db')}` },
      seal: { ...config.seal, file: join(folder, 'kek.jwks') },
      keyStore: { ...config.keyStore, path: join(folder, 'keys') },
    }
    const stores = await openStores(restored, systemClock)
    try {
      for (const [i, issuer] of [FIRST, SECOND].entries()) {
        const filled = made[i]
        assert.ok(filled)
        await assertFilled(stores.of(issuer), filled)
      }
    } finally {
      await stores.close()
    }
  })

  it('give up their keys one after the other where the key-encryption key is lost', async () => {
    await using place = await createPlace('database')
    const made = await place.with([FIRST, SECOND], async (stores) => [
      await fill(stores.of(FIRST)),
      await fill(stores.of(SECOND)),
    ])
    const { seal } = await place.configOf([FIRST, SECOND])
    await rm(seal.file)
    const protector = fileProtector(seal.file)
    await place.with([FIRST, SECOND], async (stores) => {
      const { authenticateAnew } = stores
      const give = async (issuer: string) => {
        const store = stores.of(issuer).keys
        const order = { now: 9, reason: 'test', actor: 'test' }
        const options = { issuer, store, protector, clock: systemClock, authenticateAnew }
        return (await abandonLosses(options, order)).keys.map(({ id }) => id)
      }
      assert.deepEqual(await give(FIRST), [made[0]?.kid])
      assert.deepEqual(await give(SECOND), [made[1]?.kid])
      await assert.rejects(give(FIRST), { code: 'no_key_lost' })
    })
    await place.with([FIRST, SECOND], async (stores) => {
      for (const [i, issuer] of [FIRST, SECOND].entries()) {
        const { accounts, clients } = stores.of(issuer)
        const person = made[i]?.person
        assert.deepEqual(await accounts.findByUsername('ada'), person)
        assert.deepEqual(await clients.forged(), [])
      }
    })
  })
})

describe('what somebody moves from one issuer to another in the database', () => {
  it('fails its check there', async () => {
    await using place = await createPlace('database')
    await place.with([FIRST, SECOND], async (stores) => {
      const [one, two] = [stores.of(FIRST), stores.of(SECOND)]
      const { person } = await fill(one)
      await two.openSealer()
      const dataSource = await openDatabase({ url: place.url, connections: 2, timeout: 5 })
      for (const table of [
        ...['ring_key', 'key_event', 'account', 'client', 'consent', 'audit_record'],
      ]) {
        await dataSource.query(`UPDATE ${table} SET issuer = '${SECOND}' WHERE issuer = '${FIRST}'`)
      }
      await dataSource.destroy()
      const sealer = await two.openSealer()
      const { keys, events } = await two.keys.load()
      const moved = keys.find(({ ring }) => ring === KEY.ring)
      assert.ok(moved)
      await assert.rejects(sealer.open(moved), { code: 'seal_broken', message: /another issuer/ })
      assert.equal((await sealer.openEvents(events)).forged.length, 1)
      assert.equal(await two.accounts.findByUsername(person.username), undefined)
      assert.equal(await two.clients.find('web'), undefined)
      assert.equal(await two.consents.find(person.id, 'web'), undefined)
      assert.deepEqual(await two.clients.forged(), ['hashed', 'web'])
      assert.deepEqual(
        (await two.audit.list()).map(({ isForged }) => isForged),
        [true],
      )
    })
  })
})

/** What the version before wrote, which knew of one issuer only. */
async function fillAsBefore(place: Awaited<ReturnType<typeof createPlace>>) {
  const dataSource = await openAsBefore(place, migrations.slice(0, 5))
  await migrate(dataSource)
  const { driver } = dataSource
  const insert = async <T extends object>(schema: EntitySchema<Owned<T>>, row: T) => {
    const columns = dataSource
      .getMetadata(schema)
      .columns.filter(({ propertyName }) => propertyName !== 'issuer')
    // A row of its schema, whose properties the columns name.
    const values = { ...row } as Record<string, unknown>
    await dataSource.query(
      `INSERT INTO ${schema.options.name} (${columns.map((each) => each.databaseName).join(', ')})
       VALUES (${columns.map((each, i) => driver.createParameter(each.databaseName, i)).join(', ')})`,
      columns.map((each) => driver.preparePersistentValue(values[each.propertyName], each)),
    )
  }
  const protector = fileProtector(join(place.folder, 'kek.jwks'))
  await protector.create?.()
  const keys = await openKeys(protector)
  const made = await generateKey('HS256')
  const life = { createdAt: 7, activatesAt: 7, retention: 0, generation: 1 }
  const facts = { ...life, kid: made.kid, ring: 'deployment', algorithm: 'HS256' }
  const own = await keys.seal(facts, made.jwk)
  await insert(keySchema, own)
  const secret = deploymentOf(
    { kid: made.kid, record: own, former: [], names: undefined },
    createSecretKey(made.jwk.k ?? '', 'base64url'),
  )
  const sealer = createDeploymentSealer(keys, secret)
  const { kid, jwk } = await generateKey('ES256')
  await insert(keySchema, await sealer.seal({ ...KEY, kid, generation: 1 }, jwk, []))
  const order = { at: 8, reason: 'test', actor: 'test' } as const
  const event = keyEvent({ ...order, type: 'revoke', ring: KEY.ring, kid: 'another', place: null })
  await insert(keyEventSchema, await sealer.sealEvent(event, []))

  const authentic = createAuthentic({
    issuer: FIRST,
    openSecret: async () => secret,
    onForgery: () => {},
  })
  const rows = await authentic.open()
  const person = createAccount({ username: 'ada' })
  const row = { ...toRow(person), nameKey: null, skeletonKey: null }
  await insert(accountSchema, rows.accounts.sign(row))
  const from = { source: 'operator', updatedAt: 7 } as const
  await insert(clientSchema, rows.clients.toRow({ client_id: 'web', client_secret: 'short' }, from))
  await insert(
    clientSchema,
    rows.clients.toRow({ client_id: 'hashed', client_secret: SECRET }, from),
  )
  const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {}, updatedAt: 1 }
  const consent = { accountId: person.id, clientId: 'web', ...wishes }
  await insert(consentSchema, rows.consents.sign(consent))
  await dataSource.destroy()
  return { kid, person }
}

for (const database of DATABASES) {
  describe(`a database of before there were issuers, on ${database.name}`, {
    skip: database.skip,
  }, () => {
    it('becomes that of the one that is configured, and of no other', async () => {
      await using place = await createPlace('database', database)
      const made = await fillAsBefore(place)
      await assert.rejects(
        place.with([FIRST, SECOND], async () => {}),
        { code: 'issuer_unknown' },
      )
      // Several nodes may start at once.
      await Promise.all(
        [1, 2, 3].map(() =>
          place.with([FIRST], async (stores) => {
            await assertFilled(stores.of(FIRST), made)
          }),
        ),
      )
      await place.with([FIRST, SECOND], async (stores) => {
        await assertFilled(stores.of(FIRST), made)
        const others = await fill(stores.of(SECOND))
        await assertFilled(stores.of(SECOND), others)
      })
      await place.with([THIRD], (stores) => stores.issuers.rename(FIRST, THIRD), {
        ofAnyIssuer: true,
      })
      await place.with([SECOND, THIRD], (stores) => assertFilled(stores.of(THIRD), made))
    })
  })
}
