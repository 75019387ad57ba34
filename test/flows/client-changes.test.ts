import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SignJWT } from 'jose'
import * as client from 'openid-client'
import { pino } from 'pino'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { PERSON, REDIRECT_URI, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { startServer } from '../../src/server/server.ts'
import { keyturnIn } from '../cli/keyturn.ts'
import { until } from '../support/redis.ts'

/** Clients that an operator changes while servers and people go on. */

const log = pino({ level: 'silent' })

let keyturn: TestServer
let cli: Awaited<ReturnType<typeof keyturnIn>>
before(async () => {
  keyturn = await startTestServer()
  cli = await keyturnIn({
    KEYTURN_CONFIG: join(keyturn.folder, 'keyturn.yaml'),
    KEYTURN_DATABASE__URL: keyturn.config.database.url,
    KEYTURN_SEAL__FILE: keyturn.config.seal.file,
  })
})
after(async () => {
  await cli[Symbol.asyncDispose]()
  await keyturn[Symbol.asyncDispose]()
})

async function addMachine(id: string, more: readonly string[] = []): Promise<void> {
  const args = ['clients', 'add', '--id', id, '--grant-type', 'client_credentials', ...more]
  await cli.json([...args, '--secret-stdin'], SECRET)
}

async function ask(
  credentials: Readonly<Record<string, string>>,
  issuer = keyturn.issuer,
): Promise<number> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', ...credentials })
  const response = await fetch(`${issuer}/token`, { method: 'POST', body })
  await response.arrayBuffer()
  return response.status
}

/** With client_secret_basic. */
async function askBasic(id: string, secret: string, issuer = keyturn.issuer): Promise<number> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  await response.arrayBuffer()
  return response.status
}

describe('clients update', () => {
  it('keeps the secret, what people agreed to, and what was handed out', async () => {
    const other = 'http://localhost:9998/other'
    await cli.json(
      [
        ...['clients', 'add', '--id', 'shop', '--name', 'Shop', '--redirect-uri', REDIRECT_URI],
        ...['--grant-type', 'authorization_code', 'refresh_token', '--secret-stdin'],
      ],
      SECRET,
    )
    const agent = createUserAgent()
    const rp = await discoverAs(keyturn.issuer, 'shop', SECRET)
    const wishes = { scope: 'openid offline_access', prompt: 'consent' }
    const first = await authorizationRequest(rp, wishes)
    const tokens = await first.redeem((await signIn(agent, first.url, PERSON)).callback)

    const { changed } = await cli.json<{ changed: string[] }>([
      ...['clients', 'update', 'shop', '--name', 'The shop', '--redirect-uri', REDIRECT_URI, other],
      ...['--id-token-alg', 'ES256'],
    ])
    assert.deepEqual(changed.toSorted(), [
      'client_name',
      'id_token_signed_response_alg',
      'redirect_uris',
    ])

    const again = await client.refreshTokenGrant(rp, tokens.refresh_token ?? '')
    assert.ok(again.access_token)
    await client.fetchUserInfo(rp, tokens.access_token, client.skipSubjectCheck)

    // In the same browser nothing is asked, and the new redirect URI is good at once.
    const changedRp = await discoverAs(keyturn.issuer, 'shop', SECRET)
    const second = await authorizationRequest(changedRp, { scope: 'openid', redirect_uri: other })
    const { callback, steps } = await signIn(agent, second.url, PERSON)
    assert.deepEqual(steps, [])
    assert.ok(callback.href.startsWith(other))
  })

  it('changes and removes any property, by options and by a file', async () => {
    await addMachine('edited')
    const file = { default_max_age: 60, client_uri: 'https://edited.example', contacts: null }
    const input = JSON.stringify({ ...file, grant_types: ['authorization_code'] })
    const args = ['clients', 'update', 'edited', '--file', '-', '--redirect-uri', REDIRECT_URI]
    const { metadata } = await cli.json<{ metadata: object }>(args, input)
    assert.deepEqual(metadata, {
      client_id: 'edited',
      client_secret: '***',
      grant_types: ['authorization_code'],
      redirect_uris: [REDIRECT_URI],
      default_max_age: 60,
      client_uri: 'https://edited.example',
    })
    const removed = await cli.json<{ metadata: object }>([
      ...['clients', 'update', 'edited', '--remove', 'client_uri', 'default_max_age'],
    ])
    assert.deepEqual(Object.keys(removed.metadata).toSorted(), [
      'client_id',
      'client_secret',
      'grant_types',
      'redirect_uris',
    ])
    const emptied = await cli.json<{ changed: string[] }>(
      ['clients', 'update', 'edited', '--file', '-'],
      JSON.stringify({ client_uri: '', client_name: '' }),
    )
    assert.deepEqual(emptied.changed, [])
  })

  it('takes what show shows, edited', async () => {
    await addMachine('shown')
    const { metadata } = await cli.json<{ metadata: object }>(['clients', 'show', 'shown'])
    const edited = JSON.stringify({ ...metadata, client_name: 'Edited' })
    const { changed } = await cli.json<{ changed: string[] }>(
      ['clients', 'update', 'shown', '--file', '-'],
      edited,
    )
    assert.deepEqual(changed, ['client_name'])
    assert.equal(await askBasic('shown', SECRET), 200)
  })

  it('makes or drops a secret where the client proves itself in another way', async () => {
    await addMachine('moving')
    const method = (...args: readonly string[]) =>
      cli.json<{ metadata: { client_secret?: string } }>(['clients', 'update', 'moving', ...args])
    const jwt = await method('--auth-method', 'client_secret_jwt')
    const secret = jwt.metadata.client_secret ?? ''
    assert.match(secret, /^[\w-]{43}$/, 'of the one before only a hash is known')
    const assertion = await assertionBy('moving', secret)
    assert.equal(await ask(assertion), 200)
    assert.equal(
      (await method('--auth-method', 'client_secret_basic')).metadata.client_secret,
      '***',
    )
    assert.equal(await askBasic('moving', secret), 200)
    const machine = await cli.run(['clients', 'update', 'moving', '--public'])
    assert.equal(machine.status, 1)
    assert.match(machine.err, /grant_types: client_credentials needs a client that authenticates/)
    const spa = await method(
      ...['--public', '--grant-type', 'authorization_code', '--redirect-uri', REDIRECT_URI],
    )
    assert.equal(spa.metadata.client_secret, undefined)
    const back = await method('--auth-method', 'client_secret_post')
    assert.match(back.metadata.client_secret ?? '', /^[\w-]{43}$/)
  })

  it('refuses what the server could not work with, and changes nothing then', async () => {
    await addMachine('stays')
    const { metadata: before } = await cli.json<{ metadata: object }>(['clients', 'show', 'stays'])
    const refused: readonly (readonly [args: readonly string[], reason: RegExp])[] = [
      [
        ['--scope', 'read', '--grant-type', 'magic'],
        /2 problems:\n.*grant_types\.0.*\n.*\n.*scope: /,
      ],
      [['--id-token-alg', 'ES512'], /no ring signs with ES512/],
      [['--remove', 'redirct_uris'], /the nearest name is redirect_uris/],
      [['--remove', 'client_secret'], /keyturn clients secret stays/],
      [['--remove', 'client_id'], /client_id cannot be removed/],
      [['--remove', 'client_name', '--name', 'x'], /client_name is both set and removed/],
      [['--file', '-'], /A client_id cannot be changed/],
    ]
    for (const [args, reason] of refused) {
      const { status, err } = await cli.run(
        ['clients', 'update', 'stays', ...args],
        '{"client_id":"other"}',
      )
      assert.equal(status, 1, args.join(' '))
      assert.match(err, reason)
    }
    assert.equal((await cli.run(['clients', 'update', 'stays'])).status, 2)
    const unknown = await cli.run(['clients', 'update', 'nobody', '--name', 'x'])
    assert.match(unknown.err, /There is no client nobody/)
    const configured = await cli.run(['clients', 'update', 'web', '--name', 'x'])
    assert.match(configured.err, /Client web is defined by the configuration/)
    const { metadata } = await cli.json<{ metadata: object }>(['clients', 'show', 'stays'])
    assert.deepEqual(metadata, before)
  })
})

interface Renewed {
  readonly client_secret: string
  readonly previousSecrets: readonly { readonly until: string }[]
}
const renew = (id: string, ...args: readonly string[]) =>
  cli.json<Renewed>(['clients', 'secret', id, ...args])

async function assertionBy(id: string, secret: string) {
  const claims = { iss: id, sub: id, aud: keyturn.issuer, jti: randomUUID() }
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1m')
      .sign(Buffer.from(secret)),
  }
}

describe('clients secret', () => {
  it('lets the old one and the new one work during the overlap, through a restart', async () => {
    await addMachine('rolling')
    const { client_secret: fresh, previousSecrets } = await renew('rolling', '--overlap', '2h')
    assert.equal(previousSecrets.length, 1)
    const both = (issuer?: string) =>
      Promise.all([askBasic('rolling', SECRET, issuer), askBasic('rolling', fresh, issuer)])
    assert.deepEqual(await both(), [200, 200])
    assert.equal(await askBasic('rolling', `${fresh}x`), 401)
    const shown = await cli.run(['clients', 'show', 'rolling'])
    assert.match(shown.out, /A previous secret works until /)
    assert.doesNotMatch(shown.out, new RegExp(`hash|${SECRET}|${fresh}`))

    await using other = await restarted()
    assert.deepEqual(await both(other.url), [200, 200])
  })

  it('ends the old one on every node when its time is over', async () => {
    await addMachine('brief')
    const { client_secret: fresh } = await renew('brief', '--overlap', '2s')
    const both = (issuer?: string) =>
      Promise.all([askBasic('brief', SECRET, issuer), askBasic('brief', fresh, issuer)])
    await using other = await restarted()
    await until('the overlap is over', async () => (await askBasic('brief', SECRET)) === 401)
    assert.deepEqual(await both(), [401, 200])
    assert.deepEqual(await both(other.url), [401, 200])
    const { previousSecrets } = await cli.json<Renewed>(['clients', 'show', 'brief'])
    assert.deepEqual(previousSecrets, [])
  })

  it('ends those before at once where it is told', async () => {
    await addMachine('leaked')
    const { client_secret: second } = await renew('leaked')
    const { client_secret: third, previousSecrets } = await renew('leaked', '--overlap', '24h')
    assert.equal(previousSecrets.length, 2)
    const all = (...secrets: readonly string[]) =>
      Promise.all(secrets.map((secret) => askBasic('leaked', secret)))
    assert.deepEqual(await all(SECRET, second, third), [200, 200, 200])
    await cli.json(['clients', 'secret', 'leaked', '--end-overlap'])
    assert.deepEqual(await all(SECRET, second, third), [401, 401, 200])
    const { client_secret: fourth } = await renew('leaked', '--overlap', '0s')
    assert.deepEqual(await all(SECRET, second, third, fourth), [401, 401, 401, 200])
  })

  it('works for secrets that are keys of assertions', async () => {
    await addMachine('asserting', ['--auth-method', 'client_secret_jwt'])
    const { client_secret: fresh } = await renew('asserting', '--overlap', '1h')
    const both = async () => [
      await ask(await assertionBy('asserting', SECRET)),
      await ask(await assertionBy('asserting', fresh)),
    ]
    assert.deepEqual(await both(), [200, 200])
    assert.equal(await ask(await assertionBy('asserting', `${fresh}x`)), 401)
    await cli.json(['clients', 'secret', 'asserting', '--end-overlap'])
    assert.deepEqual(await both(), [401, 200])
  })

  it('survives a change of other properties, and bounds how many work', async () => {
    await addMachine('many')
    for (let count = 0; count < 4; count++) await renew('many')
    await cli.json(['clients', 'update', 'many', '--name', 'Many'])
    assert.equal(await askBasic('many', SECRET), 200)
    const { status, err } = await cli.run(['clients', 'secret', 'many'])
    assert.equal(status, 1)
    assert.match(err, /already has 4 previous secrets .* --overlap 0s/)
    const stored = await cli.withStores((stores) => stores.clients.find('many'))
    assert.doesNotMatch(JSON.stringify(stored), new RegExp(SECRET))
  })

  it('refuses clients without a secret, secrets that are none, and overlaps without end', async () => {
    await addMachine('careful')
    const spa = ['--id', 'spa', '--public', '--redirect-uri', REDIRECT_URI]
    await cli.json(['clients', 'add', ...spa])
    const refused: readonly (readonly [args: readonly string[], status: number, why: RegExp])[] = [
      [['spa'], 1, /Client spa has no secret, because its token_endpoint_auth_method is none/],
      [['web'], 1, /defined by the configuration/],
      [['nobody'], 1, /There is no client nobody/],
      [['careful', '--secret-stdin'], 1, /client_secret: .* must be text of ASCII/],
      [['careful', '--overlap', '1y'], 2, /from 0s to 90d/],
      [['careful', '--overlap', '91d'], 2, /from 0s to 90d/],
    ]
    for (const [args, status, why] of refused) {
      const answer = await cli.run(['clients', 'secret', ...args], 'pässwort')
      assert.equal(answer.status, status, args.join(' '))
      assert.match(answer.err, why)
    }
    assert.equal(await askBasic('careful', SECRET), 200)
  })
})

/** Another server on the same database, as it is after a start. */
async function restarted(): Promise<{ readonly url: string } & AsyncDisposable> {
  const { config } = keyturn
  const server = await startServer({ ...config, http: { ...config.http, port: 0 } }, { log })
  return { url: server.url, [Symbol.asyncDispose]: () => server.close() }
}
