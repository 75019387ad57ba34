import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAudience } from '../../src/http/audience.ts'
import { createInFlight } from '../../src/http/in-flight.ts'
import { listen } from '../../src/http/listener.ts'
import { createRefusals } from '../../src/http/refusals.ts'
import { createViews } from '../../src/http/views.ts'
import { LISTENER_LIMITS } from '../support/limits.ts'

const MOST = 3

describe('a server that works on as many requests as it may', () => {
  it('asks programs and people to come back, until one of them is done', async (test) => {
    const work = Array.from({ length: MOST }, () => Promise.withResolvers<void>())
    let turnedAway = 0
    let begun = 0
    const inFlight = createInFlight({ requests: MOST, answerTime: 60 })
    const handle = inFlight.bound(
      async (_request, response) => {
        await work[begun++]?.promise
        response.end('done')
      },
      {
        refuse: createRefusals(createViews(), createAudience('https://op.example')),
        onTurnedAway: () => void turnedAway++,
        onLate: () => assert.fail('nothing takes a minute'),
      },
    )
    const listener = await listen(
      (request, response) => {
        if (request.url === '/jwks') response.end('keys')
        else handle(request, response)
      },
      { host: 'localhost', port: 0, limits: LISTENER_LIMITS },
    )
    test.after(() => listener.close(0))
    const ask = (path: string, headers = {}) => fetch(`${listener.url}${path}`, { headers })

    const busy = work.map(() => ask('/token'))
    while (begun < MOST) await new Promise(setImmediate)
    assert.equal(inFlight.count, MOST)

    const program = await ask('/token')
    assert.equal(program.status, 503)
    assert.ok(Number(program.headers.get('retry-after')) > 0)
    assert.equal(program.headers.get('cache-control'), 'no-store')
    assert.match(await program.text(), /"error":"temporarily_unavailable"/)
    const person = await ask('/auth', { accept: 'text/html,*/*' })
    assert.equal(person.status, 503)
    assert.match(person.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    assert.match(await person.text(), /Please try again in a moment/)
    assert.equal(turnedAway, 2)
    assert.equal(await (await ask('/jwks')).text(), 'keys')

    work[0]?.resolve()
    assert.equal(await (await Promise.race(busy)).text(), 'done')
    assert.equal(inFlight.count, MOST - 1)
    const next = ask('/token')
    assert.equal(await (await next).text(), 'done')
    for (const { resolve } of work) resolve()
    await Promise.all(busy)
    assert.equal(inFlight.count, 0)
  })

  it('answers 503 if one takes too long, whatever it does then', async (test) => {
    const late = Promise.withResolvers<void>()
    const tried = Promise.withResolvers<unknown>()
    const paths: unknown[] = []
    const inFlight = createInFlight({ requests: MOST, answerTime: 0.05 })
    const handle = inFlight.bound(
      async (_request, response) => {
        response.setHeader('location', '/elsewhere').setHeader('set-cookie', 'c=d')
        await late.promise
        try {
          response.setHeader('set-cookie', 'a=b')
          response.end('done')
          tried.resolve(undefined)
        } catch (error) {
          tried.resolve(error)
        }
      },
      {
        refuse: createRefusals(createViews(), createAudience('https://op.example')),
        onTurnedAway: () => assert.fail('there is room'),
        onLate: ({ url }) => paths.push(url),
      },
    )
    const listener = await listen(handle, { host: 'localhost', port: 0, limits: LISTENER_LIMITS })
    test.after(() => listener.close(0))
    const answer = await fetch(`${listener.url}/token`)
    assert.equal(answer.status, 503)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
    assert.match(await answer.text(), /"temporarily_unavailable".*could not answer in time/)
    assert.deepEqual([answer.headers.get('location'), answer.headers.getSetCookie()], [null, []])
    assert.deepEqual(paths, ['/token'])
    assert.equal(inFlight.count, 1, 'it is still worked on')
    late.resolve()
    assert.equal(await tried.promise, undefined)
    while (inFlight.count > 0) await new Promise(setImmediate)
  })
})
