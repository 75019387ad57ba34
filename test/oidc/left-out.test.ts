import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import {
  CLIENTS,
  type LogLine,
  REDIRECT_URI,
  SECRET,
  startTestServer,
  type TestServer,
} from '../../lab/server.ts'
import { createUserAgent } from '../../lab/user-agent.ts'

describe('the log of scopes that are left out', () => {
  let keyturn: TestServer
  let lines: LogLine[] = []
  before(async () => {
    const codeAlone = {
      client_id: 'code',
      client_secret: SECRET,
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code'],
    }
    keyturn = await startTestServer({
      onLogged: (line) => lines.push(line),
      settings: { clients: [...CLIENTS, codeAlone] },
    })
  })
  after(() => keyturn[Symbol.asyncDispose]())
  beforeEach(() => {
    lines = []
  })

  async function leftOut(client: string, scope: string) {
    const { url } = await authorizationRequest(await discoverAs(keyturn.issuer, client), { scope })
    await createUserAgent().open(url, keyturn.issuer)
    const told = lines.filter(({ msg }) => msg === 'a scope was left out of a request')
    lines = []
    return told.map(({ client, scope, reason }) => ({ client, scope, reason }))
  }

  it('tells each scope once for each client', async () => {
    const reason = 'the scope is unknown'
    assert.deepEqual(await leftOut('web', 'openid groups roles'), [
      { client: 'web', scope: 'groups', reason },
      { client: 'web', scope: 'roles', reason },
    ])
    assert.deepEqual(await leftOut('web', 'openid groups'), [])
    assert.deepEqual(await leftOut('web', 'openid'), [])
    const other = await leftOut('web-es256', 'openid groups')
    assert.deepEqual(other, [{ client: 'web-es256', scope: 'groups', reason }])
  })

  it('says what offline_access lacks', async () => {
    const scope = 'offline_access'
    assert.deepEqual(await leftOut('web', 'openid offline_access'), [
      {
        client: 'web',
        scope,
        reason: 'the scope needs prompt=consent, or offline_access_without_prompt of the client',
      },
    ])
    assert.deepEqual(await leftOut('code', 'openid offline_access'), [
      { client: 'code', scope, reason: 'the client does not have the grant type refresh_token' },
    ])
  })

  it('shows no more than the beginning of what is long', async () => {
    const [line] = await leftOut('web', `openid ${'x'.repeat(3000)}`)
    assert.equal(line?.scope, 'x'.repeat(100))
  })
})
