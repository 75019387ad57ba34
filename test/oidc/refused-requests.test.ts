import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { type LogLine, PERSON, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { systemClock } from '../../src/clock.ts'
import { CAUSED_BY_CLIENTS } from '../../src/seldom-log.ts'
import { openStores } from '../../src/server/stores.ts'

const FLOOD = 100

describe('the log of refused requests', () => {
  let keyturn: TestServer
  let lines: LogLine[] = []
  before(async () => {
    keyturn = await startTestServer({ onLogged: (line) => lines.push(line) })
  })
  after(() => keyturn[Symbol.asyncDispose]())
  beforeEach(() => {
    lines = []
  })

  async function ask(endpoint: string, parameters: Record<string, string>): Promise<Response> {
    const body = new URLSearchParams(parameters)
    return fetch(`${keyturn.issuer}${endpoint}`, { method: 'POST', body })
  }
  const askAs = (client_id: string, parameters: Record<string, string>) =>
    ask('/token', { client_id, client_secret: SECRET, ...parameters })

  /** The line of a refused request, without what every line has. */
  function refusal() {
    const refused = lines.filter(({ msg }) => msg === 'request refused')
    assert.equal(refused.length, 1, JSON.stringify(lines))
    const { time: _, pid: __, hostname: ___, msg: ____, level, ...fields } = refused[0] as LogLine
    return [level === 40 ? 'warn' : level === 30 ? 'info' : level, fields]
  }
  const ADDRESSES = /^(127\.0\.0\.1|::1)$/

  it('names the client, the grant type, the error and what the client is not told', async () => {
    const code = { grant_type: 'authorization_code', code: 'made-up' }
    await askAs('web', { ...code, redirect_uri: 'http://localhost:9999/callback' })
    const [level, { address, ...fields }] = refusal() as [string, Record<string, string>]
    assert.equal(level, 'info')
    assert.match(address ?? '', ADDRESSES)
    assert.deepEqual(fields, {
      route: 'token',
      client: 'web',
      grantType: 'authorization_code',
      error: 'invalid_grant',
      reason: 'grant request is invalid: authorization code not found',
    })
  })

  it('warns of a client that cannot authenticate, and writes neither its secret nor unknown ids', async () => {
    const parameters = { client_secret: 'a wrong secret', grant_type: 'client_credentials' }
    await askAs('machine', parameters)
    const [level, fields] = refusal() as [string, Record<string, string>]
    assert.deepEqual(
      [level, fields.client, fields.error, fields.reason],
      [
        'warn',
        'machine',
        'invalid_client',
        'client authentication failed: invalid secret provided',
      ],
    )
    lines = []
    await askAs('nobody-knows-me', parameters)
    const [, unknown] = refusal() as [string, Record<string, string>]
    assert.equal(unknown.reason, 'client authentication failed: client not found')
    assert.doesNotMatch(JSON.stringify(lines), /a wrong secret|nobody-knows-me/)
  })

  it('writes a grant type that cannot be one nowhere', async () => {
    await askAs('machine', { grant_type: 'my password is correct horse\n{}' })
    const [, fields] = refusal() as [string, Record<string, string>]
    assert.deepEqual([fields.error, fields.grantType], ['unsupported_grant_type', undefined])
    assert.doesNotMatch(JSON.stringify(lines), /correct horse/)
  })

  it('says whose refresh token it was, once its account is disabled', async () => {
    const rp = await discoverAs(keyturn.issuer, 'web')
    const scope = { scope: 'openid offline_access', prompt: 'consent' }
    const { url, redeem } = await authorizationRequest(rp, scope)
    const { callback } = await signIn(createUserAgent(), url, PERSON)
    const { refresh_token = '' } = await redeem(callback)
    const { accounts, close } = (await openStores(keyturn.config, systemClock)).of(
      keyturn.config.issuer,
    )
    const { id = '' } = (await accounts.findByUsername(PERSON.username)) ?? {}
    await accounts.change(id, () => ({ isDisabled: true }))
    lines = []
    await askAs('web', { grant_type: 'refresh_token', refresh_token })
    await accounts.change(id, () => ({ isDisabled: false }))
    await close()
    const [, fields] = refusal() as [string, Record<string, string>]
    assert.deepEqual(
      [fields.client, fields.grantType, fields.account, fields.reason],
      [
        ...['web', 'refresh_token', id],
        'grant request is invalid: refresh token invalid (referenced account not found)',
      ],
    )
    assert.doesNotMatch(JSON.stringify(lines), new RegExp(refresh_token))
  })

  it('is silent about devices that poll, and about silent sign-ins without a session', async () => {
    const device = await ask('/device/auth', { client_id: 'tv', scope: 'openid' })
    const { device_code } = (await device.json()) as { device_code: string }
    const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
    const poll = await ask('/token', { client_id: 'tv', grant_type, device_code })
    assert.equal(((await poll.json()) as { error: string }).error, 'authorization_pending')
    const rp = await discoverAs(keyturn.issuer, 'web')
    const { url } = await authorizationRequest(rp, { prompt: 'none' })
    const { url: back } = await createUserAgent().open(url, keyturn.issuer)
    assert.equal(new URL(back).searchParams.get('error'), 'login_required')
    assert.deepEqual(lines, [])
  })

  it('stays short however often a client is refused, and counts the rest', async () => {
    const code = { grant_type: 'authorization_code', redirect_uri: 'http://localhost:9999/' }
    for (let i = 0; i < FLOOD; i += 1) await askAs('web-es256', { ...code, code: `made-up-${i}` })
    const refused = lines.filter(({ msg }) => msg === 'request refused')
    assert.ok(refused.length >= 1)
    assert.ok(refused.length < CAUSED_BY_CLIENTS.burst + FLOOD / 4, `${refused.length} lines`)
    assert.equal(lines.filter(({ level }) => Number(level) >= 50).length, 0)
  })
})
