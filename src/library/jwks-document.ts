import { hash } from 'node:crypto'
import { jwksMaxAgeAt, type RingView } from '../ring/view.ts'

/** A JWKS as the answer to a request. */
export interface JwksDocument {
  /** JSON, `application/jwk-set+json` (RFC 7517, section 8.5.2). */
  readonly body: string
  /** A strong validator (RFC 9110, section 8.8.3), in quotes. */
  readonly etag: string
  /** Headers with names in lower case, as `response.writeHead` of node:http takes them. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Makes a function that makes documents. The body is made once per view, the age of caches at each
 * request.
 */
export function createJwksDocuments(jwksMaxAge: number) {
  let made: { readonly view: RingView; readonly body: string; readonly etag: string } | undefined

  /** Makes the document for one request. @param now seconds since the epoch */
  return (view: RingView, now: number): JwksDocument => {
    if (made?.view.hash !== view.hash) {
      const body = JSON.stringify(view.jwks)
      made = { view, body, etag: `"${hash('sha256', body, 'base64url')}"` }
    }
    const { body, etag } = made
    const maxAge = jwksMaxAgeAt(now, jwksMaxAge, view.nextPublishedChangeAt)
    const headers = {
      'content-type': 'application/jwk-set+json; charset=utf-8',
      'cache-control': `public, max-age=${maxAge}`,
      'access-control-allow-origin': '*',
      etag,
    }
    return { body, etag, headers }
  }
}
