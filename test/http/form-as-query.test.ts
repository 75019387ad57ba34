import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { PERSON, REDIRECT_URI, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'

/** Requests that come as a form where OpenID Connect lets them: the authorization endpoint and sign-out. */

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer({ path: '/op' })
})
after(() => keyturn[Symbol.asyncDispose]())

const FORM = 'application/x-www-form-urlencoded'
const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(`${keyturn.issuer}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': FORM, ...headers },
    redirect: 'manual',
  })
const locationOf = (answer: Response) => new URL(answer.headers.get('location') ?? '', answer.url)

describe('a form', () => {
  it('that asks for authorization signs a person in as a query does', async () => {
    const agent = createUserAgent()
    const { origin } = new URL(keyturn.issuer)
    const rp = await discoverAs(keyturn.issuer, 'web')
    const first = await authorizationRequest(rp)
    await signIn(agent, first.url, PERSON)

    const { url, redeem } = await authorizationRequest(rp, { prompt: 'none', state: 'ä & b' })
    const [address = '', query = ''] = url.split('?')
    const end = await agent.open(address, origin, {
      method: 'POST',
      headers: { 'content-type': FORM },
      body: query,
    })
    const callback = new URL(end.url)
    assert.ok(callback.href.startsWith(REDIRECT_URI), callback.href)
    assert.equal(callback.searchParams.get('state'), 'ä & b')
    assert.ok((await redeem(callback, { expectedState: 'ä & b' })).id_token)
  })

  for (const path of ['/auth', '/session/end', '/AUTH/']) {
    it(`at ${path} becomes the query of the same address, behind what is there`, async () => {
      const answer = await post(
        `${path}?ui_locales=de`,
        'client_id=web&login_hint=a+b%2Bc&state=%C3%A4',
      )
      assert.equal(answer.status, 303)
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      assert.deepEqual(answer.headers.getSetCookie(), [])
      const { pathname, searchParams } = locationOf(answer)
      assert.equal(pathname, `/op${path}`)
      assert.deepEqual(Object.fromEntries(searchParams), {
        ui_locales: 'de',
        client_id: 'web',
        login_hint: 'a b+c',
        state: 'ä',
      })
    })
  }

  for (const path of ['/auth', '/session/end']) {
    it(`at ${path} may come in chunks, in one packet or several, as at every endpoint`, async () => {
      for (const packets of [['client_id=web&state=%C3%A4'], ['client_id=web', '&state=%C3%A4']]) {
        const answer = await fetch(`${keyturn.issuer}${path}`, {
          method: 'POST',
          headers: { 'content-type': FORM },
          body: ReadableStream.from(packets.map((packet) => Buffer.from(packet))),
          duplex: 'half',
          redirect: 'manual',
          signal: AbortSignal.timeout(5000),
        })
        assert.equal(answer.status, 303)
        const { searchParams } = locationOf(answer)
        assert.deepEqual(Object.fromEntries(searchParams), { client_id: 'web', state: 'ä' })
      }
    })
  }

  it('that was not encoded as it should be is encoded', async () => {
    const answer = await post('/auth', 'state=ä ö\r\n"<>&client_id=web')
    assert.equal(answer.status, 303)
    assert.equal(locationOf(answer).searchParams.get('state'), 'ä ö\r\n"<>')
    assert.match(answer.headers.get('location') ?? '', /^[!-~]+$/)
  })

  it('that is empty asks for nothing, which is answered as such', async () => {
    for (const body of ['', '&']) {
      assert.equal(locationOf(await post('/auth', body)).href, `${keyturn.issuer}/auth`)
    }
  })

  it('that is too long for an address is refused with the limit and a way out', async () => {
    const request = 'e30.'.padEnd(16_000, 'x')
    const fits = await post('/auth', `client_id=web&request=${request}`)
    assert.equal(fits.status, 303)
    const told = await fetch(locationOf(fits), { redirect: 'manual' })
    assert.ok(told.headers.get('location')?.startsWith(REDIRECT_URI), 'the address is not too long')
    const long = `client_id=web&request=${request}&id_token_hint=${request}`
    const program = await post('/auth', long)
    assert.equal(program.status, 413)
    assert.match(
      await program.text(),
      /"invalid_request".*longer than 28672 bytes .*http\.limits\.headerSize.*RFC 9126/,
    )
    const person = await post('/session/end', long, { accept: 'text/html' })
    assert.equal(person.status, 413)
    assert.match(await person.text(), /http\.limits\.headerSize/)
  })

  it('is held to the limits of parameters as a query is', async () => {
    const answer = await post('/auth', `client_id=web&state=${'x'.repeat(5000)}`)
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), /http\.limits\.parameterLength/)
  })

  it('of another kind is refused with the kind that is right', async () => {
    for (const [body, headers] of [
      ['{"client_id":"web"}', { 'content-type': 'application/json' }],
      ['--x--', { 'content-type': 'multipart/form-data; boundary=x' }],
    ] as const) {
      const answer = await post('/auth', body, headers)
      assert.equal(answer.status, 400)
      assert.match(await answer.text(), /application\/x-www-form-urlencoded/)
    }
  })

  it('is refused if its content is encoded, as at every endpoint', async () => {
    for (const path of ['/auth', '/session/end', '/token', '/userinfo']) {
      const answer = await post(path, 'a=b', { 'content-encoding': 'gzip' })
      assert.equal(answer.status, 415, path)
      assert.equal(answer.headers.get('accept-encoding'), 'identity')
      assert.match(await answer.text(), /Content-Encoding/)
      const plain = await post(path, 'a=b', { 'content-encoding': 'Identity' })
      assert.notEqual(plain.status, 415, path)
    }
  })

  it('at addresses that begin alike is none of this', async () => {
    assert.notEqual((await post('/session/end/confirm', 'xsrf=x')).status, 303)
    assert.notEqual((await post('/auth/xxxxxxxxxxxxxxxxxxxx', 'a=b')).status, 303)
  })
})
