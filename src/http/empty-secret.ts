import type { IncomingMessage } from 'node:http'
import type { Middleware } from 'koa'

/**
 * Basic credentials with an empty secret, from a public client: some libraries send them for want of a
 * secret. In the body oidc-provider takes an empty secret for none, so it does here. Those of a client
 * that has a secret stay as they are, and are refused.
 * @param isPublic does a client of this id have no secret?
 */
export function takeEmptySecretForNone(isPublic: (id: string) => Promise<boolean>): Middleware {
  return (ctx, next) => {
    const { authorization } = ctx.headers
    if (authorization === undefined || !ENDPOINTS.test(ctx.path)) return next()
    const id = idWithoutSecret(authorization)
    if (id === undefined) return next()
    return isPublic(id).then((is) => {
      if (is) nameInContent(ctx.req, id)
      return next()
    })
  }
}

/** Where clients authenticate, by oidc-provider's default paths, in any case and with a slash at the end. */
const ENDPOINTS = /\/(token|token\/introspection|token\/revocation|request|device\/auth)\/?$/i

/** Base64 of what ends with a colon ends with 6, g or o: spares almost all other credentials the rest. */
const ENDS_WITH_COLON = /^basic ([\w+/]*[6go]={0,2})$/i

/** RFC 7617, section 2; both parts are encoded as in a form (RFC 6749, section 2.3.1). */
function idWithoutSecret(authorization: string): string | undefined {
  const [, credentials] = ENDS_WITH_COLON.exec(authorization) ?? []
  if (credentials === undefined) return undefined
  const text = Buffer.from(credentials, 'base64').toString()
  if (text.indexOf(':') !== text.length - 1 || text.length < 2) return undefined
  try {
    return decodeURIComponent(text.slice(0, -1).replaceAll('+', '%20'))
  } catch {
    return undefined
  }
}

/** As the client should have sent it; unless the content says something else, which is for oidc-provider to refuse. */
function nameInContent(request: IncomingMessage, id: string): void {
  // All of it is here (`gate.ts`), and is put back before the stream notices that it was read.
  const content: Buffer | null = request.read()
  if (content === null) return
  const parameters = new URLSearchParams(content.toString())
  const named = parameters.get('client_id')
  const isNone =
    (named ?? id) === id && !parameters.get('client_secret') && !parameters.get('client_assertion')
  const added = isNone && named === null ? `&${new URLSearchParams({ client_id: id })}` : ''
  const whole = Buffer.concat([content, Buffer.from(added)])
  request.unshift(whole)
  if (!isNone) return
  delete request.headers.authorization
  if (request.headers['content-length'] !== undefined) {
    request.headers['content-length'] = `${whole.length}`
  }
}
