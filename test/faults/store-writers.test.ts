import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as client from 'openid-client'
import { type DataSource, IsNull } from 'typeorm'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { PERSON, REDIRECT_URI, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn, type UserAgent } from '../../lab/user-agent.ts'
import { newAccount } from '../../src/accounts/new-account.ts'
import { createPasswords } from '../../src/accounts/password.ts'
import { systemClock } from '../../src/clock.ts'
import { openDatabase } from '../../src/database/database.ts'
import { openStores } from '../../src/server/stores.ts'
import { DATABASES, settingsOf } from '../support/databases.ts'
import { rememberConsent } from '../support/memory-accounts.ts'
import { type RedisProcess, skipRedis, startRedis, until } from '../support/redis.ts'

/**
 * What somebody can do who reads and writes the database or Redis beside a running server, without its
 * key-encryption key: they know every algorithm, and have an account and a client of their own.
 */

/** Signs in like everybody, and writes the store. */
const WRITER = { username: 'mallory', password: 'a password that mallory has chosen' }

/** A stored artifact: where it is, and everything that is kept there. */
interface Artifact {
  readonly model: string
  readonly id: string
  readonly payload: string
}

interface Place {
  readonly server: TestServer
  /** The tables. */
  readonly dataSource: DataSource
  /** Those that were neither used up nor ended. */
  artifacts(model: string): Promise<readonly Artifact[]>
  /** Puts a payload where one of this model and id is, or is not yet. */
  put(artifact: Artifact): Promise<void>
  /** Everything that is stored. */
  dump(): Promise<string>
  close(): Promise<void>
}

for (const database of DATABASES) {
  testPlace(database.name, { skip: database.skip ?? false }, async () => {
    const { url, drop } = await database.create()
    const server = await startTestServer({ settings: { database: { url } } })
    const dataSource = await openDatabase(settingsOf({ url }))
    const table = dataSource.getRepository<Artifact & { consumedAt: number | null }>('artifact')
    return {
      server,
      dataSource,
      artifacts: (model) => table.findBy({ model, consumedAt: IsNull() }),
      put: async (artifact) => {
        await table.save({ ...artifact, expiresAt: systemClock.now() + 3600 } as never)
      },
      dump: () => dumpTables(dataSource),
      close: async () => {
        await server[Symbol.asyncDispose]()
        await dataSource.destroy()
        await drop()
      },
    }
  })
}

testPlace('Redis', { skip: skipRedis }, async () => {
  const redis = await startRedis()
  const server = await startTestServer({ settings: { redis: { url: redis.url } } })
  const dataSource = await openDatabase(settingsOf(server.config.database))
  const reader = redis.client()
  const [prefix = ''] = await prefixes(redis)
  return {
    server,
    dataSource,
    artifacts: async (model) => {
      const keys = await reader.keys(`${prefix}a:{${model}:*`)
      const found = await Promise.all(
        keys.map(async (key) => ({
          model,
          id: /:([\w-]+)\}$/.exec(key)?.[1] ?? '',
          payload: (await reader.get(key)) ?? '',
        })),
      )
      return found.filter(({ payload }) => payload.startsWith('{'))
    },
    put: async ({ model, id, payload }) => {
      await reader.set(`${prefix}a:{${model}:${id}}`, payload, 'EX', 3600)
    },
    dump: async () => {
      const keys = await reader.keys('*')
      const values = keys.map(async (key) =>
        (await reader.type(key)) === 'string' ? reader.get(key) : reader.zrange(key, '0', '-1'),
      )
      return JSON.stringify([keys, await Promise.all(values), await dumpTables(dataSource)])
    },
    close: async () => {
      await server[Symbol.asyncDispose]()
      await dataSource.destroy()
      await redis[Symbol.asyncDispose]()
    },
  }

  async function prefixes({ client: connect }: RedisProcess): Promise<readonly string[]> {
    const rp = await discoverAs(server.issuer, 'machine')
    await client.clientCredentialsGrant(rp)
    const keys = await connect().keys('*:a:{*')
    return keys.map((key) => key.slice(0, key.indexOf('a:{')))
  }
})

async function dumpTables(dataSource: DataSource): Promise<string> {
  const tables = dataSource.entityMetadatas.map(({ tableName }) =>
    dataSource.query(`SELECT * FROM ${dataSource.driver.escape(tableName)}`),
  )
  return JSON.stringify(await Promise.all(tables))
}

function testPlace(
  name: string,
  options: { readonly skip: string | false },
  open: () => Promise<Place>,
): void {
  describe(`who writes ${name}`, options, () => {
    let place: Place
    before(async () => {
      place = await open()
      await addWriter(place.server)
    })
    after(() => place?.close())

    const issuer = () => place.server.issuer
    const introspect = async (token: string) =>
      (await client.tokenIntrospection(await discoverAs(issuer(), 'machine'), token)).active
    const opaqueToken = async () => {
      const grant = await client.clientCredentialsGrant(await discoverAs(issuer(), 'machine'))
      return grant.access_token
    }

    /** Signs somebody in at the shop. @returns their browser, and the one session that is new */
    async function session(person: typeof PERSON): Promise<{ agent: UserAgent; row: Artifact }> {
      const known = (await place.artifacts('Session')).map(({ id }) => id)
      const agent = createUserAgent()
      await authorize(agent, person)
      const rows = (await place.artifacts('Session')).filter(({ id }) => !known.includes(id))
      const row = rows.at(-1)
      assert.ok(row, 'no session was stored')
      return { agent, row }
    }

    async function authorize(agent: UserAgent, person: typeof PERSON) {
      const request = await authorizationRequest(await discoverAs(issuer(), 'web'))
      return { ...request, ...(await signIn(agent, request.url, person)) }
    }

    /** Whom the server takes a browser for; undefined where it asks for a sign-in. */
    async function whoIs(agent: UserAgent): Promise<string | undefined> {
      const rp = await discoverAs(issuer(), 'web')
      const { url, redeem } = await authorizationRequest(rp, { prompt: 'none' })
      const { url: end } = await agent.open(url, issuer())
      const callback = new URL(end)
      if (callback.searchParams.get('error') === 'login_required') return undefined
      return (await redeem(callback)).claims()?.sub
    }

    describe('and changes sessions', () => {
      it('is signed in as nobody by the session of somebody else in the place of their own', async () => {
        const [hers, own] = [await session(PERSON), await session(WRITER)]
        assert.ok(await whoIs(own.agent))
        await place.put({ ...own.row, payload: hers.row.payload })
        assert.equal(await whoIs(own.agent), undefined)
        assert.ok(await whoIs(hers.agent), 'her own session is of no use any more')
      })

      it('is signed in as nobody by a session that they make up', async () => {
        const { agent, row } = await session(WRITER)
        const { id: accountId } = await account(PERSON.username)
        const now = systemClock.now()
        const made = {
          accountId,
          loginTs: now,
          iat: now,
          exp: now + 3600,
          kind: 'Session',
          uid: 'u',
        }
        for (const text of [
          JSON.stringify({ ...made, jti: 'chosen' }),
          `{}${JSON.stringify(made)}`,
          `${now + 3600} ${JSON.stringify(made)}`,
          `${row.payload.slice(0, -4)}AAAA`,
          row.payload.slice(0, 30),
          '',
        ]) {
          await place.put({ ...row, payload: text })
          assert.equal(await whoIs(agent), undefined, text)
        }
      })

      it('is signed in as nobody by what is stored of another model', async () => {
        const { agent, row } = await session(WRITER)
        for (const model of ['Grant', 'Interaction', 'AuthorizationCode']) {
          for (const { payload } of await place.artifacts(model)) {
            await place.put({ ...row, payload })
            assert.equal(await whoIs(agent), undefined, model)
          }
        }
      })
    })

    describe('and changes tokens', () => {
      it('makes no token good that they put there, move, or change', async () => {
        const token = await opaqueToken()
        const before = await place.artifacts('ClientCredentials')
        const other = await opaqueToken()
        const rows = await place.artifacts('ClientCredentials')
        const row = rows.find(({ id }) => !before.some((known) => known.id === id))
        assert.ok(row && before[0])
        assert.deepEqual([await introspect(token), await introspect(other)], [true, true])

        for (const payload of [
          before[0].payload,
          withOneChange(row.payload),
          `{}${JSON.stringify({ clientId: 'machine', kind: 'ClientCredentials', exp: 1e10 })}`,
          JSON.stringify({ clientId: 'machine', kind: 'ClientCredentials', exp: 1e10 }),
        ]) {
          await place.put({ ...row, payload })
          assert.equal(await introspect(other), false, payload)
        }
        await place.put(row)
        assert.equal(await introspect(other), true, 'what was written is good again as it was')
      })

      it('makes no access token of a code, and no refresh token of an access token', async () => {
        const { callback } = await authorize(createUserAgent(), PERSON)
        const code = callback.searchParams.get('code') ?? ''
        assert.ok(code)
        for (const row of await place.artifacts('AuthorizationCode')) {
          for (const model of ['AccessToken', 'RefreshToken', 'ClientCredentials']) {
            await place.put({ ...row, model })
          }
        }
        assert.equal(await introspect(code), false)
        const rp = await discoverAs(issuer(), 'web')
        await assert.rejects(client.refreshTokenGrant(rp, code), { error: 'invalid_grant' })
      })

      it('is noticed, in numbers and by kind', async () => {
        const token = await opaqueToken()
        const count = () => metric(place.server, 'keyturn_forged_records_total{kind="artifact"}')
        const before = await count()
        for (const row of await place.artifacts('ClientCredentials')) {
          await place.put({ ...row, payload: `{}${'A'.repeat(80)}` })
        }
        assert.equal(await introspect(token), false)
        assert.ok((await count()) > before)
      })
    })

    describe('and changes clients', () => {
      const clients = () => place.dataSource.getRepository('client')
      const stored = async (id: string) => {
        const row = await clients().findOneBy({ id })
        assert.ok(row)
        return row
      }
      const isKnown = async (id: string, secret = SECRET) => {
        const answer = await fetch(`${issuer()}/token`, {
          method: 'POST',
          headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
          body: new URLSearchParams({ grant_type: 'client_credentials' }),
        })
        return (await errorOf(answer)) !== 'invalid_client'
      }
      const add = async (id: string, more: object = {}) => {
        const stores = (await openStores(place.server.config, systemClock)).of(
          place.server.config.issuer,
        )
        const metadata = { client_id: id, client_secret: SECRET, redirect_uris: [REDIRECT_URI] }
        assert.ok(await stores.clients.add({ ...metadata, ...more }))
        await stores.close()
      }

      it('leads nobody to another address, and lets nobody in without the secret', async () => {
        const changes: Readonly<Record<string, object>> = {
          address: { redirect_uris: ['https://mallory.example/'] },
          public: { token_endpoint_auth_method: 'none' },
          secret: { client_secret: 'a secret that mallory knows, long enough' },
          hashed: { client_secret: { hash: 'hash-of-secret:sha256:AAAA:AAAA' } },
        }
        for (const [id, change] of Object.entries(changes)) {
          await add(id)
          const row = await stored(id)
          const metadata = JSON.stringify({ ...JSON.parse(row.metadata), ...change })
          await clients().update({ id }, { metadata })
          assert.equal(await isKnown(id), false, id)
          const { url } = await authorizationRequest(await discoverAs(issuer(), 'web'), {
            client_id: id,
            redirect_uri: 'https://mallory.example/',
          })
          const { page, url: end } = await createUserAgent().open(url, issuer())
          assert.ok(!end.startsWith('https://mallory.example/'), id)
          assert.equal(page?.status, 400, id)
        }
      })

      it('registers none, and moves none to another id', async () => {
        await add('genuine')
        const row = await stored('genuine')
        await clients().insert({ ...row, id: 'moved' })
        const metadata = JSON.stringify({ ...JSON.parse(row.metadata), client_id: 'renamed' })
        await clients().insert({ ...row, id: 'renamed', metadata })
        await clients().insert({ ...row, id: 'made', metadata, mac: 'A'.repeat(43) })
        assert.equal(await isKnown('genuine'), true)
        for (const id of ['moved', 'renamed', 'made']) assert.equal(await isKnown(id), false, id)
      })

      it('stops no server by an algorithm that no ring has', async () => {
        const { config } = place.server
        const stores = (await openStores(config, systemClock)).of(config.issuer)
        const before = await stores.clients.signingAlgorithms()
        await add('a first', { id_token_signed_response_alg: 'ES256' })
        const row = await stored('a first')
        await clients().insert({ ...row, id: 'a made one', idTokenAlgorithm: 'HS999' })
        await clients().update({ id: 'a first' }, { source: 'config' })
        assert.deepEqual(await stores.clients.signingAlgorithms(), before)
        await stores.close()
      })

      it('makes a client that they have changed unknown, until it is written anew', async () => {
        const [row] = [await stored('machine')]
        assert.equal(await isKnown('machine'), true)
        await clients().update({ id: 'machine' }, { source: 'operator' })
        await until('the change is seen', async () => !(await isKnown('machine')))
        await clients().update({ id: 'machine' }, { source: row.source })
        await until('it is good again', () => isKnown('machine'))
      })
    })

    describe('and changes people', () => {
      const accounts = () => place.dataSource.getRepository('account')
      const signsIn = async (person: typeof PERSON) => {
        const { url } = await authorizationRequest(await discoverAs(issuer(), 'web'))
        const agent = createUserAgent()
        const { url: at } = await agent.open(url, issuer())
        const form = { ...person, action: 'sign-in' }
        const { page, url: end } = await agent.submit(at, issuer(), form)
        return page === undefined || (page.status < 400 && end.includes('/interaction/'))
      }

      it('signs in as nobody by a password hash of their own, or by that of their own account', async () => {
        const victim = await add('victim', 'the password of the victim')
        const known = await createPasswords(place.server.config.password.argon2).hash(
          'known to all',
        )
        const own = await account(WRITER.username)
        for (const [passwordHash, password] of [
          [known, 'known to all'],
          [own.passwordHash, WRITER.password],
        ] as const) {
          await accounts().update({ id: victim.id }, { passwordHash })
          assert.equal(await signsIn({ username: 'victim', password }), false)
        }
        await accounts().update({ id: victim.id }, { passwordHash: victim.passwordHash })
        const right = { username: 'victim', password: 'the password of the victim' }
        assert.equal(await signsIn(right), true)
      })

      it('is let in by no field that they change: disabled, name, email, role, or a row made up', async () => {
        const victim = await add('disabled', 'the password of the disabled', { isDisabled: true })
        const person = { username: 'disabled', password: 'the password of the disabled' }
        assert.equal(await signsIn(person), false)
        await accounts().update({ id: victim.id }, { isDisabled: false })
        assert.equal(await signsIn(person), false)
        for (const change of [
          { email: 'ada@example.com' },
          { emailVerified: true },
          { isAdministrator: true },
          { mustChangePassword: true },
          { name: 'Ada' },
        ]) {
          const other = await add(`someone-${Object.keys(change)}`, 'the password of someone else')
          const credentials = { ...other, password: 'the password of someone else' }
          assert.equal(await signsIn(credentials), true)
          await accounts().update({ id: other.id }, change)
          assert.equal(await signsIn(credentials), false, JSON.stringify(change))
        }
        const own = await account(WRITER.username)
        const keys = { nameKey: null, skeletonKey: null }
        await accounts().insert({ ...own, ...keys, id: 'made-up', username: 'made-up' })
        assert.equal(await signsIn({ ...WRITER, username: 'made-up' }), false)
      })

      it('agrees to nothing in the name of somebody else', async () => {
        const stores = (await openStores(place.server.config, systemClock)).of(
          place.server.config.issuer,
        )
        const { id: accountId } = await account(PERSON.username)
        const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {} }
        const consent = { accountId, clientId: 'agreed', ...wishes, updatedAt: 1 }
        await rememberConsent(stores.consents, consent)
        const consents = place.dataSource.getRepository('consent')
        const key = { accountId, clientId: 'agreed' }
        const row = await consents.findOneBy(key)
        await consents.insert({ ...row, clientId: 'not-agreed' })
        assert.ok(await stores.consents.find(accountId, 'agreed'))
        assert.equal(await stores.consents.find(accountId, 'not-agreed'), undefined)
        await consents.update(key, { oidcScopes: ['openid', 'email'] })
        assert.equal(await stores.consents.find(accountId, 'agreed'), undefined)
        for (const text of ['no JSON', '', '5', 'null', '{"__proto__":']) {
          const table = place.dataSource.createQueryBuilder().update('consent')
          await table
            .set({ oidcScopes: () => `'${text}'` })
            .where(key)
            .execute()
          assert.equal(await stores.consents.find(accountId, 'agreed'), undefined, text)
          await rememberConsent(stores.consents, consent)
          assert.ok(await stores.consents.find(accountId, 'agreed'), text)
        }
        await stores.close()
      })

      async function add(username: string, password: string, more: object = {}) {
        return addPerson(place.server, { username, password }, more)
      }
    })

    describe('and reads all there is', () => {
      it('finds nothing that could be used: no token, code, cookie, secret or password', async () => {
        const agent = createUserAgent()
        const tv = await discoverAs(issuer(), 'tv', client.None())
        const device = await client.initiateDeviceAuthorization(tv, { scope: 'openid' })
        const rp = await discoverAs(issuer(), 'web')
        const wishes = { scope: 'openid offline_access', prompt: 'consent' }
        const request = await authorizationRequest(rp, wishes)
        const { callback } = await signIn(agent, request.url, PERSON)
        const tokens = await request.redeem(callback)
        const pushed = await client.buildAuthorizationUrlWithPAR(rp, { redirect_uri: REDIRECT_URI })
        // Waits for a person, and holds the session and the code of the device that it is for.
        const waiting = await authorizationRequest(rp, {
          prompt: 'login',
          state: 'a-state-to-hide',
        })
        const interaction = await agent.open(waiting.url, issuer())

        const cookies = [...agent.cookies.values()].map(({ value }) => value)
        assert.ok(cookies.length > 1)
        const secrets = {
          SECRET,
          device: device.device_code,
          user: device.user_code.replaceAll('-', ''),
          shown: device.user_code,
          code: callback.searchParams.get('code') ?? '',
          access: tokens.access_token,
          refresh: tokens.refresh_token ?? '',
          pushed: pushed.searchParams.get('request_uri')?.split(':').at(-1) ?? '',
          password: PERSON.password,
          interaction: interaction.url.split('/').at(-1) ?? '',
          state: 'a-state-to-hide',
          ...Object.fromEntries(cookies.map((value, index) => [`cookie ${index}`, value])),
        }
        const dump = await place.dump()
        for (const [what, secret] of Object.entries(secrets)) {
          assert.ok(secret.length > 5, what)
          assert.ok(!dump.includes(secret), `${what} can be read`)
        }
      })

      it('can use nothing that is there in the place of what it was made from', async () => {
        const tv = await discoverAs(issuer(), 'tv', client.None())
        await client.initiateDeviceAuthorization(tv, { scope: 'openid' })
        await opaqueToken()
        const { metadata } = (await place.dataSource
          .getRepository('client')
          .findOneBy({ id: 'web' })) as { metadata: string }
        const { hash } = JSON.parse(metadata).client_secret
        const secrets = [metadata, hash, hash.split(':')[2], hash.split(':')[3]]
        for (const secret of secrets) {
          const answer = await fetch(`${issuer()}/token`, {
            method: 'POST',
            headers: { authorization: `Basic ${btoa(`web:${encodeURIComponent(secret)}`)}` },
            body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x' }),
          })
          assert.equal(await errorOf(answer), 'invalid_client')
        }
        for (const { id, payload } of await place.artifacts('DeviceCode')) {
          for (const device_code of [id, payload]) {
            const type = 'urn:ietf:params:oauth:grant-type:device_code'
            await assert.rejects(client.genericGrantRequest(tv, type, { device_code }), {
              error: 'invalid_grant',
            })
          }
        }
        for (const { id, payload } of await place.artifacts('ClientCredentials')) {
          assert.equal(await introspect(id), false)
          assert.equal(await introspect(payload), false)
        }
      })
    })

    async function account(username: string) {
      const row = await place.dataSource.getRepository('account').findOneBy({ username })
      assert.ok(row)
      return row
    }
  })
}

describe('one Redis for two deployments that name the same prefix', { skip: skipRedis }, () => {
  it('gives neither the tokens, the limits, nor the messages of the other', async () => {
    await using redis = await startRedis()
    const settings = { redis: { url: redis.url } }
    await using one = await startTestServer({ settings })
    await using other = await startTestServer({ settings })
    const [here, there] = [
      await discoverAs(one.issuer, 'machine'),
      await discoverAs(other.issuer, 'machine'),
    ]
    const { access_token: token } = await client.clientCredentialsGrant(here)
    assert.equal((await client.tokenIntrospection(here, token)).active, true)
    assert.equal((await client.tokenIntrospection(there, token)).active, false)

    const connection = redis.client()
    const keys = await connection.keys('*')
    const channels = (await connection.call('PUBSUB', 'CHANNELS')) as string[]
    const ends = new Set([...keys, ...channels].map((key) => key.split(':')[1]))
    assert.equal(ends.size, 2, [...keys, ...channels].join(' '))
    assert.equal(channels.length, 4, channels.join(' '))
    // As many wrong passwords as lock a name at one server leave the other alone.
    const wrong = { username: PERSON.username, password: 'wrong' }
    for (let attempt = 0; attempt < 6; attempt++) await signInOnce(one, wrong)
    assert.equal((await signInOnce(one, PERSON))?.status, 429)
    assert.notEqual((await signInOnce(other, PERSON))?.status, 429)
  })
})

async function signInOnce({ issuer }: TestServer, person: typeof PERSON) {
  const { url } = await authorizationRequest(await discoverAs(issuer, 'web'))
  const agent = createUserAgent()
  const { url: at } = await agent.open(url, issuer)
  return (await agent.submit(at, issuer, { ...person, action: 'sign-in' })).page
}

/** The same text but for one character in the middle. */
function withOneChange(text: string): string {
  const middle = Math.floor(text.length / 2)
  const other = text[middle] === 'x' ? 'y' : 'x'
  return `${text.slice(0, middle)}${other}${text.slice(middle + 1)}`
}

async function errorOf(answer: Response): Promise<string | undefined> {
  const body = (await answer.json()) as { error?: string }
  return body.error
}

const addWriter = (server: TestServer) => addPerson(server, WRITER)

async function addPerson(
  { config }: TestServer,
  { username, password }: { readonly username: string; readonly password: string },
  more: object = {},
) {
  const stores = (await openStores(config, systemClock)).of(config.issuer)
  const passwords = createPasswords(config.password.argon2)
  const { account } = await newAccount({ username }, passwords, systemClock)
  const passwordHash = await passwords.hash(password)
  const added = { ...account, passwordHash, mustChangePassword: false, ...more }
  assert.ok(await stores.accounts.add(added))
  await stores.close()
  return added
}

async function metric({ server }: TestServer, name: string): Promise<number> {
  const text = await server.registry.metrics()
  const line = text.split('\n').find((each) => each.startsWith(name))
  return Number(line?.split(' ').at(-1) ?? NaN)
}

describe('a server that forgets its keys', () => {
  it('knows the people of the database again, as nobody can sign in otherwise', async () => {
    const settings = { keyStore: { type: 'memory' } }
    await using server = await startTestServer({ settings })
    const { url } = await authorizationRequest(await discoverAs(server.issuer, 'web'))
    assert.ok((await signIn(createUserAgent(), url, PERSON)).callback.searchParams.get('code'))
  })
})
