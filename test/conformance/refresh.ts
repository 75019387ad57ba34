import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { PERSON, SECRET } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import type { Undo } from '../../src/artifacts/artifact-store.ts'
import { USED_TWICE } from '../../src/oidc/events.ts'
import { createRefreshAnswers } from '../../src/oidc/refresh-answers.ts'
import { openStores } from '../../src/server/stores.ts'
import { startTestNodes, type TestNodes } from '../support/nodes.ts'

/** What happens to refresh tokens that come again, on two nodes with any store. */

export interface Answer {
  readonly status: number
  readonly body: {
    readonly access_token: string
    readonly refresh_token: string
    readonly id_token?: string
    readonly error?: string
  }
}

/** A refresh by the client `web`, at one of the nodes. */
export async function refresh(
  url: string,
  token: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(`${url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`web:${SECRET}`)}` },
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: token,
      ...parameters,
    }),
  })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

/** All of them, which are strings where they are there. */
export function tokens({ body }: Answer): readonly unknown[] {
  const all = [body.access_token, body.refresh_token, body.id_token]
  for (const token of all) assert.equal(typeof token, 'string')
  return all
}

/** A person signs in with the client `web`. @returns the first refresh token */
export async function firstToken(
  issuer: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<string> {
  const rp = await discoverAs(issuer, 'web')
  const offline = { scope: 'openid offline_access', prompt: 'consent', ...parameters }
  const { url, redeem } = await authorizationRequest(rp, offline)
  const { callback } = await signIn(createUserAgent(), url, PERSON)
  return (await redeem(callback)).refresh_token ?? ''
}

/** Settings of a store of its own. */
export interface OpenedStore {
  readonly settings: Readonly<Record<string, unknown>>
  readonly drop?: () => Promise<void>
}

const PAIRS = 100

export function testRefresh(name: string, open: () => Promise<OpenedStore>): void {
  /** The nodes of a `describe`, started before its tests. */
  const nodesOf = (more: Readonly<Record<string, unknown>>) => {
    let store: OpenedStore
    let nodes: TestNodes
    before(async () => {
      store = await open()
      nodes = await startTestNodes({ ...store.settings, ...more })
    })
    after(async () => {
      await nodes?.[Symbol.asyncDispose]()
      await store?.drop?.()
    })
    return {
      nodes: () => nodes,
      told: () => nodes.lines.filter(({ msg }) => msg === USED_TWICE),
    }
  }

  describe(`refresh tokens with ${name}`, () => {
    const opened = nodesOf({})
    const told = () => opened.told().length

    it('give both of two requests at once the same answer, on two nodes: 100 pairs, 200 answers', async () => {
      const nodes = opened.nodes()
      let token = await firstToken(nodes.issuer)
      const toldBefore = told()
      let answered = 0
      for (let pair = 0; pair < PAIRS; pair++) {
        const [one, other] = await Promise.all(nodes.urls.map((url) => refresh(url, token)))
        assert.ok(one && other)
        answered += [one, other].filter(({ status }) => status === 200).length
        assert.deepEqual(tokens(one), tokens(other))
        token = one.body.refresh_token
      }
      assert.equal(answered, 2 * PAIRS)
      assert.equal(told(), toldBefore)
    })

    it('give the same answer to a retry within the leeway, at any node', async () => {
      const nodes = opened.nodes()
      const token = await firstToken(nodes.issuer)
      const lost = await refresh(nodes.urls[0], token)
      const retry = await refresh(nodes.urls[1], token)
      assert.equal(retry.status, 200)
      assert.deepEqual(tokens(retry), tokens(lost))
      assert.equal((await refresh(nodes.urls[1], retry.body.refresh_token)).status, 200)
    })

    it('end their grant when they come again after the leeway, and a line tells', async () => {
      const nodes = opened.nodes()
      const stolen = await firstToken(nodes.issuer)
      const { body } = await refresh(nodes.urls[0], stolen)
      const toldBefore = told()
      nodes.pass(nodes.config.tokens.refreshReuseLeeway + 1)
      const thief = await refresh(nodes.urls[1], stolen)
      assert.deepEqual([thief.status, thief.body.error], [400, 'invalid_grant'])
      const owner = await refresh(nodes.urls[0], body.refresh_token)
      assert.deepEqual([owner.status, owner.body.error], [400, 'invalid_grant'])
      assert.equal(told(), toldBefore + 1)
    })

    it('that a node used up and died before it answered are answered within the leeway, and not after', async () => {
      const nodes = opened.nodes()
      const token = await firstToken(nodes.issuer)
      const other = await firstToken(nodes.issuer)
      const stores = (await openStores(nodes.config, nodes.clock)).of(nodes.config.issuer)
      try {
        for (const id of [token, other]) await stores.artifacts.adapter('RefreshToken').consume(id)
      } finally {
        await stores.close()
      }
      const [one, two] = await Promise.all(nodes.urls.map((url) => refresh(url, token)))
      assert.ok(one && two)
      assert.deepEqual([one.status, two.status], [200, 200])
      assert.deepEqual(tokens(one), tokens(two))
      nodes.pass(nodes.config.tokens.refreshReuseLeeway + 1)
      assert.equal((await refresh(nodes.urls[0], other)).body.error, 'invalid_grant')
    })

    it('whose kept answer was given out are not restored by the node that kept it and did not know', async () => {
      const nodes = opened.nodes()
      const token = await firstToken(nodes.issuer)
      const stores = (await openStores(nodes.config, nodes.clock)).of(nodes.config.issuer)
      try {
        const { artifacts } = stores
        const undos: Undo[] = []
        const body = { access_token: 'a', expires_in: 60, refresh_token: 'next' }
        const answer = createRefreshAnswers(artifacts.adapter, 600).recordOf({
          token,
          asked: '[null,null,null]',
          answeredAt: nodes.clock.now(),
          body,
        })
        const used = { model: 'RefreshToken', id: token }
        await artifacts.exchange({ used, issued: [], answer }, (undo) => undos.push(undo))
        const retry = await refresh(nodes.urls[0], token)
        assert.equal(retry.status, 200)
        assert.deepEqual([retry.body.access_token, retry.body.refresh_token], ['a', 'next'])
        await Promise.all(undos.map((undo) => undo()))
      } finally {
        await stores.close()
      }
      nodes.pass(nodes.config.tokens.refreshReuseLeeway + 1)
      assert.equal((await refresh(nodes.urls[1], token)).body.error, 'invalid_grant')
    })
  })

  describe(`refresh tokens with ${name}, without a leeway`, () => {
    const { nodes: opened, told } = nodesOf({ tokens: { refreshReuseLeeway: '0s' } })

    it('end their grant when two requests use one, at once or one after the other, and lines tell', async () => {
      const nodes = opened()
      for (let times = 0; times < 5; times++) {
        const token = await firstToken(nodes.issuer)
        const toldBefore = told().length
        const answers = await Promise.all(nodes.urls.map((url) => refresh(url, token)))
        const won = answers.filter(({ status }) => status === 200)
        assert.ok(won.length <= 1)
        for (const { body } of won) {
          assert.equal((await refresh(nodes.urls[0], body.refresh_token)).status, 400)
        }
        assert.ok(told().length > toldBefore)
      }
      const token = await firstToken(nodes.issuer)
      assert.equal((await refresh(nodes.urls[0], token)).status, 200)
      const toldBefore = told().length
      assert.equal((await refresh(nodes.urls[1], token)).status, 400)
      assert.equal(told().length, toldBefore + 1)
      const { level, client, grantType, account } = told().at(-1) ?? {}
      assert.deepEqual([level, client, grantType], [40, 'web', 'refresh_token'])
      assert.equal(typeof account, 'string')
    })
  })
}
