import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Koa, { type Middleware } from 'koa'
import { inject } from 'light-my-request'
import { spareParsing } from '../../src/http/spared-parsing.ts'

const FORM = 'application/x-www-form-urlencoded'

/** What an app answers with and without the shortcuts, which must not differ. */
async function answers(middleware: Middleware, request: { headers?: object; payload?: string }) {
  return Promise.all(
    [new Koa(), spareParsing(new Koa())].map(async (app) => {
      app.use(middleware)
      const answer = await inject(
        app.callback() as Parameters<typeof inject>[0],
        {
          method: 'POST',
          url: '/',
          ...request,
        } as Parameters<typeof inject>[1],
      )
      return { body: answer.payload, vary: answer.headers.vary }
    }),
  )
}

describe('what the content of a request is', () => {
  const types = [
    ...[FORM, `${FORM}; charset=utf-8`, FORM.toUpperCase(), ` ${FORM} `, `${FORM};`],
    ...['application/json', 'multipart/form-data', 'form', `${FORM}, text/plain`, ''],
  ]
  const asked = [
    [FORM],
    ['application/json'],
    ['text', FORM],
    ['urlencoded'],
    [`${FORM} `],
    ['*/*'],
  ]
  for (const type of types) {
    it(`is told as koa tells it: ${JSON.stringify(type)}`, async () => {
      const tell: Middleware = (ctx) => {
        ctx.body = [...asked.map((each) => ctx.is(...each)), ctx.is(asked.flat()), ctx.is()]
      }
      for (const payload of ['a=b', undefined]) {
        for (const length of [{}, { 'content-length': '0' }]) {
          const headers = { 'content-type': type, ...(payload === undefined ? length : {}) }
          const request = payload === undefined ? { headers } : { headers, payload }
          const [plain, spared] = await answers(tell, request)
          assert.deepEqual(spared, plain)
        }
      }
    })
  }

  it('is a form where it says so', async () => {
    const tell: Middleware = (ctx) => {
      ctx.body = `${ctx.is(FORM)}`
    }
    const [, spared] = await answers(tell, { headers: { 'content-type': FORM }, payload: 'a=b' })
    assert.equal(spared?.body, FORM)
  })
})

describe('the fields with which an answer varies', () => {
  const calls: readonly (readonly [fields: readonly (string | string[])[], value: string])[] = [
    [['Origin'], 'Origin'],
    [['Origin', 'Origin'], 'Origin'],
    [['Origin', 'origin'], 'Origin'],
    [['Origin', 'Accept', 'Origin'], 'Origin, Accept'],
    [['Accept, Origin', 'Origin'], 'Accept, Origin'],
    [[['Origin', 'Accept'], 'Accept'], 'Origin, Accept'],
    [['*', 'Origin'], '*'],
    [['Origin', '*'], '*'],
  ]
  for (const [fields, value] of calls) {
    it(`are ${value} after ${JSON.stringify(fields)}`, async () => {
      const [plain, spared] = await answers((ctx) => {
        for (const field of fields) ctx.vary(field)
        ctx.body = ''
      }, {})
      assert.equal(spared?.vary, value)
      assert.deepEqual(spared, plain)
    })
  }
})
