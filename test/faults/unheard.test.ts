import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import Sqlite from 'better-sqlite3-napi'
import { freePort } from '../../lab/free-port.ts'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { type LogLine, PERSON, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { until } from '../support/redis.ts'

/** Requests whose answer nobody gets: the store was too slow for the client or for the server. */

let keyturn: TestServer
const lines: LogLine[] = []
before(async () => {
  const port = await freePort()
  keyturn = await startTestServer({
    settings: {
      issuer: `http://localhost:${port}`,
      http: { host: 'localhost', port, limits: { answerTime: '1s' } },
    },
    onLogged: (line) => lines.push(line),
  })
})
after(() => keyturn?.[Symbol.asyncDispose]())

type Token = { error?: string; access_token?: string; refresh_token?: string }

/** A request for tokens by the client `web`, which can be sent again. */
function request(parameters: Readonly<Record<string, string>>) {
  return async (signal?: AbortSignal) => {
    const response = await fetch(`${keyturn.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`web:${SECRET}`)}` },
      body: new URLSearchParams(parameters),
      ...(signal && { signal }),
    })
    return { response, body: (await response.json()) as Token }
  }
}

/** A request with a code that nobody has used. */
async function codeRequest() {
  const rp = await discoverAs(keyturn.issuer, 'web')
  const asked = { scope: 'openid offline_access', prompt: 'consent' }
  const { url, verifier } = await authorizationRequest(rp, asked)
  const { callback } = await signIn(createUserAgent(), url, PERSON)
  return request({
    grant_type: 'authorization_code',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: 'http://localhost:9999/callback',
    code_verifier: verifier,
  })
}

/** A request with a refresh token that nobody has used. */
async function refreshRequest() {
  const { body } = await (await codeRequest())()
  return request({ grant_type: 'refresh_token', refresh_token: body.refresh_token ?? '' })
}

/** Holds the database's write lock during `work`. */
async function whileLocked(work: () => Promise<unknown>): Promise<void> {
  const database = new Sqlite(join(keyturn.folder, 'keyturn.db'))
  database.exec('BEGIN IMMEDIATE')
  await work()
  database.exec('ROLLBACK')
  database.close()
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${keyturn.server.managementUrl}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

/**
 * Waits until the server is done with the request, and has undone the use of a code. That of a
 * refresh token stays, because its answer is kept for the next request.
 */
async function untilDone(isOfCode: boolean): Promise<void> {
  const database = new Sqlite(join(keyturn.folder, 'keyturn.db'), { readonly: true })
  const use = database
    .prepare(`SELECT consumed_at FROM artifact WHERE model = ? ORDER BY rowid DESC LIMIT 1`)
    .pluck()
  await until('the request is over', async () => {
    const isOver = (await metric('keyturn_requests_in_flight')) === 0
    return isOver && (!isOfCode || use.get('AuthorizationCode') === null)
  })
  database.close()
}

for (const [what, make] of [
  ['a code', codeRequest],
  ['a refresh token', refreshRequest],
] as const) {
  const isOfCode = make === codeRequest
  describe(`a request with ${what} that waits for the store`, () => {
    it('is answered 503 after http.limits.answerTime, and can be sent again', async () => {
      const ask = await make()
      const before = await metric('keyturn_requests_late_total')
      lines.length = 0
      await whileLocked(async () => {
        const { response, body } = await ask()
        assert.equal(response.status, 503)
        assert.equal(body.error, 'temporarily_unavailable')
        assert.ok(Number(response.headers.get('retry-after')) > 0)
      })
      await untilDone(isOfCode)
      assert.equal((await ask()).response.status, 200)
      assert.equal(await metric('keyturn_requests_late_total'), before + 1)
      const told = lines.filter(({ level }) => Number(level) >= 40)
      assert.deepEqual(
        told.map(({ msg, path }) => [msg, path]),
        [['a request took longer than http.limits.answerTime', '/token']],
      )
    })

    it('can be sent again by a client that waited no longer', async () => {
      const ask = await make()
      await whileLocked(() => assert.rejects(ask(AbortSignal.timeout(500)), /timeout/))
      await untilDone(isOfCode)
      assert.equal((await ask()).response.status, 200)
    })
  })
}
