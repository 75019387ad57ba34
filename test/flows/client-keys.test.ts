import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { CLIENTS, startTestServer, type TestServer } from '../../lab/server.ts'
import { systemClock } from '../../src/clock.ts'
import { COOL_DOWN } from '../../src/oidc/client-keys.ts'

/** Clients that prove themselves with keys which they change, published where they like. */

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const DAY = 86_400

interface Key {
  readonly kid: string
  readonly pair: Awaited<ReturnType<typeof generateKeyPair>>
}

async function newKey(kid: string = randomUUID()): Promise<Key> {
  return { kid, pair: await generateKeyPair('ES256', { extractable: true }) }
}

/** A client's own server, which says that its keys may be kept for a day. */
async function publisher() {
  let keys: readonly Key[] = []
  let isUp = true
  let looks = 0
  const server = createServer(async (_request, response) => {
    looks++
    if (!isUp) return response.destroy()
    const published = keys.map(async ({ kid, pair }) => ({
      ...(await exportJWK(pair.publicKey)),
      kid,
      use: 'sig',
    }))
    response.setHeader('Cache-Control', `max-age=${DAY}`)
    response.end(JSON.stringify({ keys: await Promise.all(published) }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    uri: `http://127.0.0.1:${port}/jwks`,
    publish: (...these: readonly Key[]) => {
      keys = these
    },
    setUp: (is: boolean) => {
      isUp = is
    },
    /** Requests since the last question. */
    looks: () => {
      const count = looks
      looks = 0
      return count
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

describe('a client that publishes its keys', () => {
  let keyturn: TestServer
  let own: Awaited<ReturnType<typeof publisher>>
  let ahead = 0
  const clock = { ...systemClock, elapsed: () => systemClock.elapsed() + ahead }
  before(async () => {
    own = await publisher()
    const signer = {
      client_id: 'signer',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: own.uri,
    }
    keyturn = await startTestServer({ clock, settings: { clients: [...CLIENTS, signer] } })
  })
  after(async () => {
    await keyturn[Symbol.asyncDispose]()
    own.close()
  })

  async function assertionBy({ kid, pair }: Key, header: object = { kid }): Promise<string> {
    return new SignJWT({ iss: 'signer', sub: 'signer', aud: keyturn.issuer, jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', ...header })
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(pair.privateKey)
  }

  /** @returns the status of a request that only this client may make */
  async function ask(key: Key, header?: object, path = '/token', more: object = {}) {
    const response = await fetch(`${keyturn.issuer}${path}`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: ASSERTION,
        client_assertion: await assertionBy(key, header),
        ...more,
      }),
    })
    await response.arrayBuffer()
    return response.status
  }

  it('uses a new key from the moment at which it is published, inside max-age', async () => {
    const [old, next] = [await newKey(), await newKey()]
    own.publish(old)
    assert.equal(await ask(old), 200)
    assert.equal(await ask(old), 200)
    assert.equal(own.looks(), 1, 'what verifies looks no second time')
    own.publish(next, old)
    assert.equal(await ask(next), 200)
    assert.equal(await ask(old), 200)
    assert.equal(own.looks(), 1)
  })

  it('may change the key under one kid, or sign without a kid', async () => {
    for (const kid of ['mine', undefined]) {
      const [old, next] = [await newKey('mine'), await newKey('mine')]
      own.publish(old)
      ahead += COOL_DOWN
      assert.equal(await ask(old, { kid }), 200)
      own.publish(next)
      ahead += COOL_DOWN
      assert.equal(await ask(next, { kid }), 200)
      assert.equal(await ask(old, { kid }), 401, 'it is not published any more')
    }
  })

  it('is looked at once by all who come with the new key at the same moment', async () => {
    const key = await newKey()
    own.publish(key)
    ahead += COOL_DOWN
    own.looks()
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(key)))
    assert.deepEqual(answers, Array(8).fill(200))
    assert.equal(own.looks(), 1)
  })

  it('uses it at every endpoint where clients prove themselves', async () => {
    const endpoints = [
      ['/token/introspection', { token: 'x' }, 200],
      ['/token/revocation', { token: 'x' }, 200],
      // The client is known, and may not do this.
      ['/request', { client_id: 'signer', response_type: 'code' }, 400],
      ['/device/auth', { scope: 'openid' }, 400],
    ] as const
    for (const [path, parameters, status] of endpoints) {
      const key = await newKey()
      own.publish(key)
      ahead += COOL_DOWN
      assert.equal(await ask(key, undefined, path, parameters), status, path)
    }
  })

  it('is not hammered by strangers with made-up kids', async () => {
    const key = await newKey()
    own.publish(key)
    ahead += COOL_DOWN
    assert.equal(await ask(key), 200)
    ahead += COOL_DOWN
    own.looks()
    const stranger = await newKey()
    for (let turn = 0; turn < 4; turn++) {
      assert.equal(await ask(stranger, { kid: randomUUID() }), 401)
    }
    assert.equal(own.looks(), 1, 'one look within the cool-down')
    assert.equal(await ask(key), 200)
    ahead += COOL_DOWN
    assert.equal(await ask(stranger), 401)
    assert.equal(await ask(stranger), 401)
    assert.equal(own.looks(), 1)
  })

  it('goes on with the keys that are known while its server is away, and is left in peace', async () => {
    const [old, next] = [await newKey(), await newKey()]
    own.publish(old)
    ahead += COOL_DOWN
    assert.equal(await ask(old), 200)
    own.publish(next)
    own.setUp(false)
    ahead += COOL_DOWN
    own.looks()
    const answers = [await ask(next), await ask(next), await ask(next), await ask(old)]
    assert.deepEqual(answers, [401, 401, 401, 200])
    assert.equal(own.looks(), 1)
    own.setUp(true)
    ahead += COOL_DOWN
    assert.equal(await ask(next), 200)
  })
})
