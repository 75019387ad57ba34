import type { IncomingMessage } from 'node:http'
import type { Middleware } from 'koa'

/**
 * Accepts Basic credentials with an empty secret from a public client, because some libraries send
 * them if there is no secret. oidc-provider already ignores an empty secret in the body. An empty
 * secret for a client that has one stays as it is, and is refused.
 * @param isPublic true if the client of this id has no secret
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

/**
 * oidc-provider's default paths where clients authenticate, in any case, with or without a final
 * slash.
 */
const ENDPOINTS = /\/(token|token\/introspection|token\/revocation|request|device\/auth)\/?$/i

/**
 * Base64 of text that ends with a colon ends with 6, g or o, so most credentials need no decoding.
 */
const ENDS_WITH_COLON = /^basic ([\w+/]*[6go]={0,2})$/i

/** The id of credentials with an empty secret (RFC 7617, 2), form-encoded (RFC 6749, 2.3.1). */
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

/**
 * Moves the client id into the content, unless the content contradicts it, which oidc-provider then
 * refuses.
 */
function nameInContent(request: IncomingMessage, id: string): void {
  // The gate has waited for the whole content. It is put back before the stream emits `end`.
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
