import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { ConsentStore } from '../../src/accounts/account-store.ts'
import type { ArtifactStore } from '../../src/artifacts/artifact-store.ts'
import type { ClientMetadata } from '../../src/clients/client.ts'
import { compareSecret } from '../../src/clients/client-secret.ts'
import type { ClientStore } from '../../src/clients/client-store.ts'
import { previousSecrets } from '../../src/clients/previous-secrets.ts'
import { rememberConsent } from '../support/memory-accounts.ts'
import { testsWith } from '../support/with-opened.ts'

export interface ClientsUnderTest {
  readonly clients: ClientStore
  readonly consents: ConsentStore
  readonly artifacts: ArtifactStore
  /** Of another issuer in the same place. */
  readonly elsewhere: Pick<ClientsUnderTest, 'clients' | 'consents' | 'artifacts'>
  /** The same artifacts as another node sees them. */
  readonly other: ArtifactStore
  /** Lets seconds go by. */
  readonly pass: (seconds: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** What every ClientStore does, together with the artifacts and consents beside it. */
export function testClientStore(name: string, open: () => Promise<ClientsUnderTest>): void {
  const test = testsWith(open)
  const metadata = { client_id: 'a', redirect_uris: ['https://a.example/'] }

  describe(`ClientStore: ${name}`, () => {
    test('writes, changes and removes clients as the configuration says, and leaves others', async ({
      clients,
    }) => {
      assert.ok(await clients.add({ client_id: 'by hand', id_token_signed_response_alg: 'ES256' }))
      assert.equal(await clients.add({ client_id: 'by hand' }), false)
      await clients.replaceConfigured([metadata, { client_id: 'b' }])
      assert.deepEqual(await clients.writeConfigured([metadata]), ['b'])
      assert.ok(await clients.find('b'), 'a node without it has removed it')
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
      assert.deepEqual(
        (await clients.signingAlgorithms()).toSorted((x, y) => (x.client < y.client ? -1 : 1)),
        [
          { answer: 'id_token_signed_response_alg', algorithm: 'RS256', client: 'a' },
          { answer: 'id_token_signed_response_alg', algorithm: 'ES256', client: 'by hand' },
        ],
      )
    })

    test('names one client for each algorithm of each answer', async ({ clients }) => {
      const signed = {
        userinfo_signed_response_alg: 'ES256',
        introspection_signed_response_alg: 'PS256',
        authorization_signed_response_alg: 'EdDSA',
      }
      await clients.add({ client_id: 'b', ...signed })
      await clients.add({ client_id: 'a', userinfo_signed_response_alg: 'ES256' })
      await clients.add({ client_id: 'c', userinfo_signed_response_alg: 'RS256' })
      const found = (await clients.signingAlgorithms()).map(
        ({ answer, algorithm, client }) => `${client} ${answer} ${algorithm}`,
      )
      assert.deepEqual(found.sort(), [
        'a id_token_signed_response_alg RS256',
        'a userinfo_signed_response_alg ES256',
        'b authorization_signed_response_alg EdDSA',
        'b introspection_signed_response_alg PS256',
        'c userinfo_signed_response_alg RS256',
      ])
    })

    test('changes a client that is still what it was, and keeps its secrets and what it was given', async ({
      clients,
      consents,
      artifacts,
    }) => {
      const secret = 'a secret of forty characters, or of more'
      const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {}, updatedAt: 1 }
      await clients.add({ client_id: 'a', client_secret: secret })
      await artifacts.adapter('RefreshToken').upsert('t', { jti: 't', clientId: 'a' }, 60)
      await rememberConsent(consents, { accountId: 'ada', clientId: 'a', ...wishes })
      const names = ['b', 'c', 'd', 'e', 'f']
      // All at once: each adds a contact to those that it is shown.
      const changed = await Promise.all(
        names.map((name) =>
          clients.change('a', ({ metadata }) => ({
            ...metadata,
            contacts: [...((metadata.contacts as string[] | undefined) ?? []), name],
          })),
        ),
      )
      assert.ok(changed.every((client) => client?.id === 'a'))
      const metadata: Partial<ClientMetadata> = (await clients.find('a'))?.metadata ?? {}
      assert.deepEqual((metadata.contacts as string[]).toSorted(), names)
      assert.ok(compareSecret(metadata.client_secret as string, secret))
      assert.ok(await artifacts.adapter('RefreshToken').find('t'))
      assert.ok(await consents.find('ada', 'a'))
      assert.equal(await clients.change('nobody', () => ({ client_id: 'nobody' })), undefined)
      assert.equal(await clients.change('a', () => undefined), undefined)
      assert.deepEqual((await clients.find('a'))?.metadata, metadata)
    })

    test('keeps secrets that were replaced, and shows none that has ended', async ({
      clients,
      artifacts,
      pass,
    }) => {
      const [hashed, short, fresh] = ['a secret of forty characters, or of more', 'short', 'new']
      await clients.add({ client_id: 'a', client_secret: hashed })
      const first = (await artifacts.adapter('Client').find('a'))?.client_secret
      const now = (await clients.find('a'))?.updatedAt ?? 0
      const previous = [
        { secret: `${first}`, until: now + 50 },
        { secret: short, until: now + 100 },
      ]
      await clients.change('a', ({ metadata }) => ({
        ...metadata,
        client_secret: fresh,
        previous_client_secrets: previous,
      }))
      const known = async () => {
        const payload = (await artifacts.adapter('Client').find('a')) || {}
        return previousSecrets(payload).map(({ secret }) => secret)
      }
      assert.deepEqual(await known(), [first, short])
      assert.ok(compareSecret((await known())[0], hashed))
      await pass(50)
      assert.deepEqual(await known(), [short])
      await pass(50)
      assert.deepEqual(await known(), [])
      assert.equal((await artifacts.adapter('Client').find('a'))?.client_secret, fresh)
    })

    test('takes everything with a client that goes that it was given, and nothing of others', async ({
      clients,
      consents,
      artifacts,
    }) => {
      const tokens = artifacts.adapter('RefreshToken')
      for (const clientId of ['my_app', 'my-app']) {
        await clients.add({ client_id: clientId })
        await tokens.upsert(clientId, { jti: clientId, clientId }, 60)
        const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {} }
        await rememberConsent(consents, { accountId: 'ada', clientId, ...wishes, updatedAt: 1 })
      }
      assert.ok(await clients.remove('my_app'))
      assert.equal(await clients.remove('my_app'), false)
      assert.equal(await tokens.find('my_app'), undefined)
      assert.equal(await consents.find('ada', 'my_app'), undefined)
      assert.ok(await tokens.find('my-app'))
      assert.ok(await consents.find('ada', 'my-app'))
    })

    test('of two issuers never meet, though they have the same ids', async ({
      clients,
      consents,
      artifacts,
      elsewhere,
    }) => {
      const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {}, updatedAt: 1 }
      for (const [each, name] of [
        [{ clients, consents, artifacts }, 'ours'],
        [elsewhere, 'theirs'],
      ] as const) {
        assert.ok(await each.clients.add({ client_id: 'web', client_name: name }))
        await each.artifacts.adapter('RefreshToken').upsert('t', { jti: 't', clientId: 'web' }, 60)
        await rememberConsent(each.consents, { accountId: 'ada', clientId: 'web', ...wishes })
      }
      await elsewhere.clients.change('web', ({ metadata }) => ({ ...metadata, contacts: ['x'] }))
      const found = await artifacts.adapter('Client').find('web')
      assert.deepEqual([found?.client_name, found?.contacts], ['ours', undefined])
      // The configuration of one says nothing about the clients of the other.
      await clients.replaceConfigured([metadata])
      await elsewhere.clients.replaceConfigured([])
      assert.deepEqual(
        (await clients.list()).map(({ id }) => id),
        ['a', 'web'],
      )
      assert.ok(await clients.remove('web'))
      assert.equal(await artifacts.adapter('RefreshToken').find('t'), undefined)
      assert.equal(await consents.find('ada', 'web'), undefined)
      assert.equal((await elsewhere.clients.find('web'))?.metadata.client_name, 'theirs')
      assert.ok(await elsewhere.artifacts.adapter('RefreshToken').find('t'))
      assert.ok(await elsewhere.consents.find('ada', 'web'))
      assert.deepEqual(await elsewhere.clients.forged(), [])
    })

    test('does not write again what stayed the same', async ({ clients, pass }) => {
      await clients.replaceConfigured([metadata])
      const before = await clients.find('a')
      await pass(100)
      await clients.replaceConfigured([metadata])
      assert.deepEqual(await clients.find('a'), before)
    })

    test('tells ids apart byte for byte', async ({ clients, artifacts }) => {
      const ids = ['a', 'A', 'a ', 'á', 'a\u0301', ' a']
      for (const id of ids) assert.ok(await clients.add({ client_id: id }), JSON.stringify(id))
      for (const id of ids) {
        assert.equal((await clients.find(id))?.id, id)
        assert.equal((await artifacts.adapter('Client').find(id))?.client_id, id)
      }
      assert.equal(await clients.find('a  '), undefined)
      assert.equal(await artifacts.adapter('Client').find('Á'), undefined)
      assert.equal(await artifacts.adapter('Client').find('a\0'), undefined)
    })

    test('keeps metadata of 100,000 characters', async ({ clients }) => {
      const long = { client_id: 'long', jwks: { keys: ['ü'.repeat(100_000)] } }
      assert.ok(await clients.add(long))
      assert.deepEqual((await clients.find('long'))?.metadata, long)
    })

    test('lets every node know of a change within 5 seconds, and this one at once', async ({
      clients,
      artifacts,
      other,
      pass,
    }) => {
      const here = artifacts.adapter('Client')
      const there = other.adapter('Client')
      await clients.replaceConfigured([metadata])
      assert.equal((await here.find('a'))?.client_name, undefined)
      assert.equal((await there.find('a'))?.client_name, undefined)
      await clients.change('a', (known) => ({ ...known.metadata, client_name: 'B' }))
      assert.equal((await here.find('a'))?.client_name, 'B')
      await pass(5)
      assert.equal((await there.find('a'))?.client_name, 'B')
      await clients.replaceConfigured([{ ...metadata, client_name: 'A' }])
      assert.equal((await here.find('a'))?.client_name, 'A')
      await pass(5)
      assert.equal((await there.find('a'))?.client_name, 'A')
      await clients.remove('a')
      assert.equal(await here.find('a'), undefined)
      other.forgetClients()
      assert.equal(await there.find('a'), undefined)
      await clients.add(metadata)
      assert.ok(await there.find('a'), 'that a client is unknown is not remembered')
    })
  })
}
