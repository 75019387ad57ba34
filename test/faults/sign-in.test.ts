import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PERSON, REDIRECT_URI, startTestServer } from '../../lab/server.ts'
import { createUserAgent } from '../../lab/user-agent.ts'

describe('ten wrong passwords', () => {
  it('are refused, then limited, and so is the right one from the same address; others sign in', async () => {
    await using keyturn = await startTestServer()
    const query = new URLSearchParams({
      client_id: 'web',
      response_type: 'code',
      scope: 'openid',
      redirect_uri: REDIRECT_URI,
    })
    const agent = createUserAgent()
    const { url } = await agent.open(`${keyturn.issuer}/auth?${query}`, keyturn.issuer)
    const attempt = async (username: string, password: string) => {
      const fields = { username, password, action: 'sign-in' }
      const { page } = await agent.submit(url, keyturn.issuer, fields)
      return page
    }
    const known = await (await attempt(PERSON.username, 'wrong'))?.text()
    const unknown = await (await attempt('nobody', 'wrong'))?.text()
    const withoutName = (text = '', name: string) => text.replaceAll(`value="${name}"`, '')
    assert.equal(withoutName(unknown, 'nobody'), withoutName(known, PERSON.username))

    const statuses: (number | undefined)[] = []
    for (let i = 1; i < 10; i++) statuses.push((await attempt(PERSON.username, `${i}`))?.status)
    assert.deepEqual(statuses, [401, 401, 401, 401, 429, 429, 429, 429, 429])
    const limited = await attempt(PERSON.username, PERSON.password)
    assert.equal(limited?.status, 429)
    assert.ok(Number(limited.headers.get('retry-after')) > 60)
    assert.equal((await attempt('nobody', 'wrong'))?.status, 401, 'one account locks out another')
  })
})
