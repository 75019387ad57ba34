import type Koa from 'koa'

const FORM = 'application/x-www-form-urlencoded'

/**
 * Answers two questions of oidc-provider without parsing header fields, because koa parses them at
 * each call, which costs a token request some 2 %: whether the content is a form, and which field
 * an answer varies with. All other cases are left to koa.
 * @returns the same app
 */
export function spareParsing(app: Koa): Koa {
  const { request, response } = app
  const is: (...types: string[]) => string | false | null = request.is
  const { vary } = response
  Object.assign(request, {
    is(this: Koa.Request, ...types: string[]) {
      const { headers } = this.req
      const isPlainForm =
        headers['content-type'] === FORM && headers['content-length'] !== undefined
      return isPlainForm && types[0] === FORM ? FORM : is.apply(this, types)
    },
  })
  Object.assign(response, {
    vary(this: Koa.Response, field: string | string[]) {
      const { res } = this
      if (typeof field !== 'string' || res.headersSent) return vary.call(this, field)
      const fields = res.getHeader('Vary')
      if (fields === undefined) res.setHeader('Vary', field)
      else if (fields !== field) vary.call(this, field)
    },
  })
  return app
}
