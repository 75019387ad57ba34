import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { discoverAs } from '../../lab/relying-party.ts'
import { PERSON, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent } from '../../lab/user-agent.ts'

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer()
})
after(() => keyturn[Symbol.asyncDispose]())

async function startDevice() {
  const tv = await discoverAs(keyturn.issuer, 'tv', client.None())
  const started = await client.initiateDeviceAuthorization(tv, { scope: 'openid profile' })
  const poll = (parameters: Readonly<Record<string, string>> = {}) =>
    client.genericGrantRequest(tv, 'urn:ietf:params:oauth:grant-type:device_code', {
      device_code: started.device_code,
      ...parameters,
    })
  return { started, poll }
}

/** The person types the code, confirms it, signs in and agrees; or says no. */
async function enterCode(code: string, says: 'yes' | 'no') {
  const agent = createUserAgent()
  const { issuer } = keyturn
  const at = `${issuer}/device`
  let { url, page } = await agent.open(at, issuer)
  const fields = async () => {
    const text = (await page?.text()) ?? ''
    return { text, xsrf: /name="xsrf" value="([^"]+)"/.exec(text)?.[1] ?? '' }
  }
  const first = await fields()
  ;({ url, page } = await agent.submit(at, issuer, { xsrf: first.xsrf, user_code: code }))
  const second = await fields()
  const answer = says === 'no' ? { abort: 'yes' } : { confirm: 'yes' }
  const form = { xsrf: second.xsrf, user_code: code, ...answer }
  ;({ url, page } = await agent.submit(at, issuer, form))
  for (let step = 0; page && url.includes('/interaction/') && step < 4; step++) {
    const text = await page.text()
    const filled = text.includes('name="password"')
      ? { ...PERSON, action: 'sign-in' }
      : { action: 'allow' }
    ;({ url, page } = await agent.submit(url, issuer, filled))
  }
  return { confirmation: second.text, end: (await page?.text()) ?? '' }
}

describe('the device flow', () => {
  it('leaves a code as it was after a refused request, and gives tokens for it once', async () => {
    const { started, poll } = await startDevice()
    await enterCode(started.user_code, 'yes')
    await assert.rejects(poll({ resource: 'https://unknown.example' }), { error: 'invalid_target' })
    assert.ok((await poll()).access_token)
    await assert.rejects(poll(), { error: 'invalid_grant' })
  })

  it('connects a device once the person has confirmed its code, signed in and agreed', async () => {
    const { started, poll } = await startDevice()
    await assert.rejects(poll(), { error: 'authorization_pending' })
    const { confirmation, end } = await enterCode(started.user_code, 'yes')
    assert.ok(confirmation.includes(started.user_code), 'the code is not shown for comparison')
    assert.match(end, /connected/)
    const tokens = await poll()
    const jwks = createRemoteJWKSet(new URL(`${keyturn.issuer}/jwks`))
    await jwtVerify(tokens.id_token ?? '', jwks, { audience: 'tv' })
  })

  it('tells the device when the person says no', async () => {
    const { started, poll } = await startDevice()
    await enterCode(started.user_code, 'no')
    await assert.rejects(poll(), { error: 'access_denied' })
  })

  it('takes no notice of a code that was made up', async () => {
    const { end } = await enterCode('AAAA-BBBB', 'yes')
    assert.doesNotMatch(end, /connected/)
  })
})
