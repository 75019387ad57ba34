import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { GRACE, LostRace } from '../../src/artifacts/artifact-record.ts'
import type { ArtifactStore, Undo } from '../../src/artifacts/artifact-store.ts'
import type { ArtifactPlace } from '../../src/database/artifact-place.ts'
import { FORGET_BATCH } from '../../src/database/forget.ts'
import { testsWith } from '../support/with-opened.ts'
import { testExchanges } from './exchanges.ts'

/** Artifacts of one issuer, and the sweep that those of all share. */
export type SweptArtifacts = ArtifactStore & Pick<ArtifactPlace, 'sweep'>

/** What a test needs: a fresh store, opened twice as two nodes would, and a way to move time. */
export interface ArtifactsUnderTest {
  readonly artifacts: SweptArtifacts
  readonly other: SweptArtifacts
  /** Of another issuer in the same place. */
  readonly elsewhere: ArtifactStore
  /** Lets seconds go by. */
  readonly pass: (seconds: number) => Promise<void>
  /** Everything stored, as text: what somebody who reads the database sees. */
  readonly dump: () => Promise<string>
  readonly close: () => Promise<void>
}

/**
 * The contract of oidc-provider's adapters, for every implementation.
 * @param traits `expiresByItself`: what has expired is gone without a sweep
 */
export function testArtifacts(
  name: string,
  open: () => Promise<ArtifactsUnderTest>,
  { expiresByItself = false }: { readonly expiresByItself?: boolean } = {},
): void {
  const test = testsWith(open)

  describe(`artifacts in ${name}`, () => {
    test('are found as they were saved, by every node', async ({ artifacts, other }) => {
      const payload = { jti: 'id', kind: 'AccessToken', accountId: 'ünï', claims: { a: [1, null] } }
      await artifacts.adapter('AccessToken').upsert('id', payload as never, 60)
      assert.deepEqual(await other.adapter('AccessToken').find('id'), payload)
    })

    test('of one model are not found as another', async ({ artifacts }) => {
      await artifacts.adapter('AccessToken').upsert('id', { jti: 'id' }, 60)
      assert.equal(await artifacts.adapter('RefreshToken').find('id'), undefined)
    })

    test('of two issuers never meet, though they have the same ids', async ({
      artifacts,
      elsewhere,
    }) => {
      const [ours, theirs] = [artifacts, elsewhere].map((store) => store.adapter('RefreshToken'))
      assert.ok(ours && theirs)
      const token = { jti: 't', accountId: 'ada', clientId: 'web', grantId: 'g' }
      await ours.upsert('t', token, 60)
      assert.equal(await theirs.find('t'), undefined)
      await theirs.upsert('t', { ...token, accountId: 'eve' }, 60)
      await theirs.consume('t')
      assert.deepEqual(await ours.find('t'), token)
      await theirs.revokeByGrantId('g')
      await elsewhere.forget('clientId', 'web')
      assert.deepEqual(await ours.find('t'), token)
      await artifacts.adapter('Session').upsert('s', { jti: 's', uid: 'u', accountId: 'ada' }, 60)
      assert.equal(await elsewhere.adapter('Session').findByUid('u'), undefined)
      await elsewhere.forget('accountId', 'ada')
      assert.ok(await artifacts.adapter('Session').findByUid('u'))
      await artifacts.forget('accountId', 'ada')
      assert.equal(await artifacts.adapter('Session').findByUid('u'), undefined)
    })

    test('that are unknown are undefined', async ({ artifacts }) => {
      for (const model of ['Session', 'AuthorizationCode', 'Client']) {
        assert.equal(await artifacts.adapter(model).find('unknown'), undefined)
      }
      assert.equal(await artifacts.adapter('Session').findByUid('unknown'), undefined)
      assert.equal(await artifacts.adapter('DeviceCode').findByUserCode('unknown'), undefined)
    })

    test('saved again replace what was there', async ({ artifacts }) => {
      const sessions = artifacts.adapter('Session')
      await sessions.upsert('id', { jti: 'id', uid: 'one', accountId: 'a' }, 60)
      await sessions.upsert('id', { jti: 'id', uid: 'two', accountId: 'b' }, 60)
      assert.equal((await sessions.find('id'))?.accountId, 'b')
      assert.equal(await sessions.findByUid('one'), undefined)
      assert.deepEqual(await sessions.findByUid('two'), await sessions.find('id'))
    })

    test('are found by session uid and by user code, with the id they are saved under', async ({
      artifacts,
    }) => {
      await artifacts.adapter('Session').upsert('s', { jti: 's', uid: 'u' }, 60)
      await artifacts.adapter('DeviceCode').upsert('d', { jti: 'd', userCode: 'ABCD' }, 60)
      assert.equal((await artifacts.adapter('Session').findByUid('u'))?.jti, 's')
      assert.equal((await artifacts.adapter('DeviceCode').findByUserCode('ABCD'))?.jti, 'd')
    })

    test('that can be used are found where others with the same uid or user code have expired or were used', async ({
      artifacts,
      other,
      pass,
    }) => {
      const sessions = artifacts.adapter('Session')
      const devices = artifacts.adapter('DeviceCode')
      // Whichever is saved first, by whichever node.
      for (const [field, ids] of [
        ['one', ['dead', 'live']],
        ['two', ['live', 'dead']],
      ] as const) {
        for (const [index, id] of ids.entries()) {
          const at = index ? artifacts : other
          const ttl = id === 'live' ? 3600 : 30
          const key = `${id} ${field}`
          await at.adapter('Session').upsert(key, { jti: key, uid: field }, ttl)
          await at.adapter('DeviceCode').upsert(key, { jti: key, userCode: field }, ttl)
        }
      }
      for (const seconds of [0, 31, GRACE + 31]) {
        await pass(seconds)
        for (const field of ['one', 'two']) {
          assert.equal((await sessions.findByUid(field))?.jti, `live ${field}`)
          assert.equal((await devices.findByUserCode(field))?.jti, `live ${field}`)
        }
      }
    })

    test('are consumed once: of many requests at once, one gets through', async ({
      artifacts,
      other,
    }) => {
      await artifacts.adapter('AuthorizationCode').upsert('c', { jti: 'c', grantId: 'g' }, 60)
      const results = await Promise.allSettled(
        [artifacts, other, artifacts, other].map((store) =>
          store.adapter('AuthorizationCode').consume('c'),
        ),
      )
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
    })

    test('say that they were consumed, and keep saying so when they are saved again', async ({
      artifacts,
    }) => {
      const codes = artifacts.adapter('AuthorizationCode')
      await codes.upsert('c', { jti: 'c' }, 60)
      await codes.consume('c')
      const found = await codes.find('c')
      assert.ok(found?.consumed)
      await codes.upsert('c', { jti: 'c' }, 60)
      assert.ok((await codes.find('c'))?.consumed)
    })

    test('consumed by two at once take down all that came of their grant', async ({
      artifacts,
    }) => {
      await artifacts.adapter('RefreshToken').upsert('r', { jti: 'r', grantId: 'g' }, 60)
      await artifacts.adapter('AccessToken').upsert('a', { jti: 'a', grantId: 'g' }, 60)
      await artifacts.adapter('RefreshToken').consume('r')
      await assert.rejects(artifacts.adapter('RefreshToken').consume('r'), {
        error: 'invalid_grant',
      })
      assert.equal(await artifacts.adapter('AccessToken').find('a'), undefined)
    })

    test('consumed by two at once take their grant down, so that tokens saved later are useless', async ({
      artifacts,
    }) => {
      for (const id of ['g', 'h']) {
        await artifacts.adapter('Grant').upsert(id, { jti: id, accountId: 'ada' }, 60)
      }
      await artifacts.adapter('RefreshToken').upsert('r', { jti: 'r', grantId: 'g' }, 60)
      await artifacts.adapter('RefreshToken').consume('r')
      await assert.rejects(artifacts.adapter('RefreshToken').consume('r'))
      assert.equal(await artifacts.adapter('Grant').find('g'), undefined)
      assert.ok(await artifacts.adapter('Grant').find('h'))
    })

    /** @returns how to undo it */
    const consume = async (store: ArtifactStore, id: string): Promise<Undo> => {
      const undos: Undo[] = []
      await store.adapter('RefreshToken').consume(id, (undo) => undos.push(undo))
      assert.ok(undos[0])
      return undos[0]
    }

    test('that were consumed for nothing are given back as they were, to be used once', async ({
      artifacts,
      other,
      pass,
    }) => {
      const payload = { jti: 'r', accountId: 'ada', grantId: 'g' }
      const tokens = artifacts.adapter('RefreshToken')
      await tokens.upsert('r', payload, 60)
      const undo = await consume(artifacts, 'r')
      await undo()
      assert.deepEqual(await other.adapter('RefreshToken').find('r'), payload)
      await consume(other, 'r')
      // Sent twice, it does not give back what somebody else has used.
      await undo()
      assert.ok((await tokens.find('r'))?.consumed)
      await pass(61 + GRACE)
      await artifacts.sweep(10)
      assert.equal(await tokens.find('r'), undefined, 'it lives for longer')
    })

    test('are given back by nobody but who consumed them', async ({ artifacts, other }) => {
      await artifacts.adapter('RefreshToken').upsert('r', { jti: 'r', grantId: 'g' }, 60)
      await consume(artifacts, 'r')
      const undos: Undo[] = []
      const loses = other.adapter('RefreshToken').consume('r', (undo) => undos.push(undo))
      await assert.rejects(loses, { error: 'invalid_grant' })
      await artifacts.adapter('RefreshToken').upsert('r', { jti: 'r', consumed: 1 }, 60)
      for (const undo of undos) await undo()
      assert.equal(undos.length, 1)
      assert.equal((await artifacts.adapter('RefreshToken').find('r'))?.consumed, 1)
    })

    test('that were consumed for nothing and revoked meanwhile stay gone', async ({
      artifacts,
    }) => {
      const tokens = artifacts.adapter('RefreshToken')
      await tokens.upsert('r', { jti: 'r', grantId: 'g' }, 60)
      const undo = await consume(artifacts, 'r')
      await tokens.revokeByGrantId('g')
      await undo()
      assert.equal(await tokens.find('r'), undefined)
    })

    testExchanges(test)

    test('saved twice at once are one, and consumed if one of them was', async ({ artifacts }) => {
      const codes = artifacts.adapter('AuthorizationCode')
      await Promise.all([
        codes.upsert('c', { jti: 'c', consumed: 1, accountId: 'first' }, 60),
        codes.upsert('c', { jti: 'c', accountId: 'second' }, 60),
      ])
      const found = await codes.find('c')
      assert.ok(found?.consumed)
      assert.equal(found.accountId, 'second')
    })

    test('of many requests at once are each what was asked for', async ({ artifacts, other }) => {
      const ids = Array.from({ length: 300 }, (_, i) => `${i}`)
      const models = ['AccessToken', 'RefreshToken', 'Session']
      const modelOf = (id: string) => models[Number(id) % models.length] ?? ''
      await Promise.all(
        ids.map((id, i) =>
          (i % 2 ? artifacts : other).adapter(modelOf(id)).upsert(id, { jti: id, uid: id }, 60),
        ),
      )
      const asked = [...ids, ...ids, 'unknown']
      const found = await Promise.all(asked.map((id) => artifacts.adapter(modelOf(id)).find(id)))
      assert.deepEqual(
        found.map((payload) => payload?.jti),
        [...ids, ...ids, undefined],
      )
    })

    test('of two nodes that save, revoke and sweep the same ones at once get in nobody’s way', async ({
      artifacts,
      other,
    }) => {
      const ids = Array.from({ length: 40 }, (_, i) => `${i}`)
      const work = async (store: SweptArtifacts, order: readonly string[]) => {
        const [tokens, grants] = [store.adapter('AccessToken'), store.adapter('Grant')]
        for (let round = 0; round < 5; round++) {
          await Promise.all([
            ...order.map((id) =>
              tokens.upsert(id, { jti: id, grantId: `g${Number(id) % 5}` }, -1000),
            ),
            ...order.slice(0, 10).map((id) => tokens.destroy(id)),
            ...order.slice(0, 10).map((id) => grants.upsert(id, { jti: id }, 60)),
            tokens.revokeByGrantId(`g${round}`),
            store.sweep(20),
          ])
        }
      }
      await Promise.all([
        work(artifacts, ids),
        work(other, ids.toReversed()),
        work(artifacts, ids.toReversed()),
      ])
    })

    test('can be long and hold any character', async ({ artifacts, other }) => {
      const payload = { jti: 'id', request: '\0 \ud83d\udd11 \\ " \' '.repeat(10_000) }
      await artifacts.adapter('PushedAuthorizationRequest').upsert('id', payload, 60)
      assert.deepEqual(await other.adapter('PushedAuthorizationRequest').find('id'), payload)
    })

    test('are not found by what nobody could have saved', async ({ artifacts }) => {
      await artifacts.adapter('DeviceCode').upsert('d', { jti: 'd', userCode: 'ABCD' }, 60)
      for (const userCode of ['abcd', 'ABCD ', 'ABCD\0', '', '%']) {
        assert.equal(await artifacts.adapter('DeviceCode').findByUserCode(userCode), undefined)
      }
      assert.equal(await artifacts.adapter('Session').findByUid('\0'), undefined)
      assert.equal(await artifacts.adapter('AccessToken').find('\0'), undefined)
    })

    test('are gone when they are destroyed', async ({ artifacts, other }) => {
      await artifacts.adapter('AccessToken').upsert('id', { jti: 'id' }, 60)
      await other.adapter('AccessToken').destroy('id')
      await other.adapter('AccessToken').destroy('id')
      assert.equal(await artifacts.adapter('AccessToken').find('id'), undefined)
    })

    test('of an ended session stay away, though a request that found it before saves it again', async ({
      artifacts,
      other,
      pass,
    }) => {
      const ends: Record<string, () => Promise<unknown>> = {
        'signed out': () => artifacts.adapter('Session').destroy('signed out'),
        forgotten: () => artifacts.forget('accountId', 'ada'),
      }
      for (const [id, end] of Object.entries(ends)) {
        const [ours, theirs] = [artifacts.adapter('Session'), other.adapter('Session')]
        const session = { jti: id, uid: `uid of ${id}`, accountId: 'ada' }
        await ours.upsert(id, session, 60)
        assert.ok(await theirs.find(id))
        await end()
        for (const sessions of [ours, theirs]) {
          await sessions.upsert(id, session, 60)
          assert.equal(await ours.find(id), undefined)
          assert.equal(await theirs.findByUid(session.uid), undefined)
        }
        // The new session of somebody who signs in meanwhile.
        await theirs.upsert(`new ${id}`, { ...session, jti: `new ${id}` }, 60)
        assert.equal((await ours.findByUid(session.uid))?.jti, `new ${id}`)
        await ours.upsert(id, session, 60)
        assert.equal((await ours.findByUid(session.uid))?.jti, `new ${id}`)
      }
      await pass(3600)
      await artifacts.sweep(100)
      assert.equal(await artifacts.adapter('Session').find('signed out'), undefined)
    })

    test('of a revoked grant are gone, and others stay', async ({ artifacts }) => {
      const save = (model: string, id: string, grantId: string) =>
        artifacts.adapter(model).upsert(id, { jti: id, grantId }, 60)
      await save('AccessToken', 'a', 'g')
      await save('RefreshToken', 'r', 'g')
      await save('RefreshToken', 'other', 'h')
      await artifacts.adapter('RefreshToken').revokeByGrantId('g')
      await artifacts.adapter('AccessToken').revokeByGrantId('g')
      assert.equal(await artifacts.adapter('RefreshToken').find('r'), undefined)
      assert.equal(await artifacts.adapter('AccessToken').find('a'), undefined)
      assert.ok(await artifacts.adapter('RefreshToken').find('other'))
    })

    test('of a person or a client that is removed are gone, and others stay', async ({
      artifacts,
    }) => {
      const tokens = artifacts.adapter('AccessToken')
      await tokens.upsert('one', { jti: 'one', accountId: 'ada_1', clientId: 'shop' }, 60)
      await tokens.upsert('two', { jti: 'two', accountId: 'ada-1', clientId: 'shop' }, 60)
      await tokens.upsert('three', { jti: 'three', accountId: 'ada-1', clientId: 'other' }, 60)
      await artifacts.forget('accountId', 'ada_1')
      assert.equal(await tokens.find('one'), undefined)
      assert.ok(await tokens.find('two'))
      await artifacts.forget('clientId', 'shop')
      assert.equal(await tokens.find('two'), undefined)
      assert.ok(await tokens.find('three'))
    })

    test('of nobody, and of a model that is not oidc-provider’s, stay until they expire', async ({
      artifacts,
      other,
      pass,
    }) => {
      const revoked = (store: ArtifactStore) => store.adapter('RevokedAccessToken')
      await revoked(artifacts).upsert('jti', {}, 60)
      await artifacts.forget('clientId', 'shop')
      await artifacts.forget('accountId', 'ada')
      await artifacts.adapter('AccessToken').revokeByGrantId('grant')
      await artifacts.sweep(10)
      await pass(59)
      assert.ok(await revoked(other).find('jti'))
      await pass(600)
      assert.equal(await revoked(other).find('jti'), undefined)
    })

    test('of a person are found among very many, of several models', async ({ artifacts }) => {
      const save = (model: string, id: string, accountId: string) =>
        artifacts.adapter(model).upsert(id, { jti: id, accountId }, 60)
      const ids = Array.from({ length: FORGET_BATCH + 2 }, (_, index) => `id ${index}`)
      await inHundreds(ids, (id) => save('RefreshToken', id, id.endsWith('7') ? 'ada' : 'bob'))
      await save('AccessToken', 'hers', 'ada')
      await save('Session', 'hers', 'ada')
      await artifacts.forget('accountId', 'ada')
      const left = await inHundreds(ids, (id) => artifacts.adapter('RefreshToken').find(id))
      assert.deepEqual(
        left.map((payload) => payload !== undefined),
        ids.map((id) => !id.endsWith('7')),
      )
      assert.equal(await artifacts.adapter('AccessToken').find('hers'), undefined)
      assert.equal(await artifacts.adapter('Session').find('hers'), undefined)
    })

    test('that may be seen once are saved by one of many requests, and again after they expired', async ({
      artifacts,
      other,
      pass,
    }) => {
      const see = (store: ArtifactStore) =>
        store.adapter('ReplayDetection').upsert('proof', { jti: 'proof', exp: 0 }, 60)
      const seen = await Promise.allSettled([artifacts, other, artifacts, other].map(see))
      assert.equal(seen.filter((result) => result.status === 'fulfilled').length, 1)
      await pass(61)
      await see(other)
    })

    test('may have a lifetime with a fraction, or longer than stores can count', async ({
      artifacts,
      other,
      pass,
    }) => {
      const replays = artifacts.adapter('ReplayDetection')
      const tokens = artifacts.adapter('AccessToken')
      for (const lifetime of [59.5, 60.000001, 1e12, 1e20, Number.MAX_SAFE_INTEGER, 1e300]) {
        const id = `for ${lifetime} s`
        await replays.upsert(id, { jti: id }, lifetime)
        await assert.rejects(replays.upsert(id, { jti: id }, lifetime), LostRace)
        await tokens.upsert(id, { jti: id }, lifetime)
        assert.equal((await other.adapter('AccessToken').find(id))?.jti, id)
      }
      await pass(61)
      await replays.upsert('for 59.5 s', { jti: 'for 59.5 s' }, 60)
    })

    test('that have expired are swept, in batches, and no others', async ({ artifacts, pass }) => {
      const tokens = artifacts.adapter('AccessToken')
      for (let i = 0; i < 25; i++) await tokens.upsert(`short ${i}`, { jti: `short ${i}` }, 10)
      await tokens.upsert('long', { jti: 'long' }, 3600)
      assert.equal(await artifacts.sweep(10), 0)
      await pass(600)
      assert.deepEqual(
        [await artifacts.sweep(10), await artifacts.sweep(10), await artifacts.sweep(10)],
        expiresByItself ? [0, 0, 0] : [10, 10, 5],
      )
      assert.equal(await tokens.find('short 0'), undefined)
      assert.ok(await tokens.find('long'))
    })

    test('cannot be used by somebody who reads the database', async ({ artifacts, dump }) => {
      for (const model of MODELS) {
        const id = `a-bearer-secret-${model}`
        // Of an interaction the session and what it is for can be used as well.
        const session = { cookie: 'a-bearer-secret', uid: 'a-bearer-secret' }
        const more = LEGIBLE.includes(model)
          ? {}
          : { uid: id, userCode: id, deviceCode: id, parJti: id, grantId: id, session }
        await artifacts.adapter(model).upsert(id, { jti: id, ...more }, 60)
        if (model === 'ReplayDetection') continue
        assert.equal((await artifacts.adapter(model).find(id))?.jti, id)
      }
      assert.ok(!(await dump()).includes('a-bearer-secret'))
    })
  })
}

/** Models whose payloads are of no use to who reads them. */
const LEGIBLE = ['AccessToken', 'ClientCredentials', 'Grant', 'RefreshToken']

/** Every model of oidc-provider. */
const MODELS = [
  'AccessToken',
  'AuthorizationCode',
  'BackchannelAuthenticationRequest',
  'ClientCredentials',
  'DeviceCode',
  'Grant',
  'InitialAccessToken',
  'Interaction',
  'PreAuthorizedCode',
  'PushedAuthorizationRequest',
  'RefreshToken',
  'RegistrationAccessToken',
  'ReplayDetection',
  'Session',
]

/** Work for very many, a hundred at a time: thousands at once outlast the time that each has. */
async function inHundreds<T>(
  ids: readonly string[],
  work: (id: string) => Promise<T>,
): Promise<T[]> {
  const results: T[] = []
  for (let from = 0; from < ids.length; from += 100) {
    results.push(...(await Promise.all(ids.slice(from, from + 100).map(work))))
  }
  return results
}
