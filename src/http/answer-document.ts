import type { IncomingMessage, ServerResponse } from 'node:http'
import fresh from 'fresh'
import { RETRY_AFTER } from './retry-after.ts'

/** A document that programs fetch from everywhere, ready to be sent. */
export interface PreparedDocument {
  readonly body: string | Buffer
  /** A strong validator (RFC 9110, section 8.8.3), in quotes. */
  readonly etag: string
  /**
   * Header fields of each answer, with alternating names and values, because Node writes a list
   * faster than an object.
   */
  readonly headers: readonly string[]
  /** Further header fields of an answer with the body. */
  readonly bodyHeaders: readonly string[]
}

/** @param document undefined while this process may not serve it */
export function answerDocument(
  document: PreparedDocument | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method } = request
  if (method === 'OPTIONS') {
    allow(request, response)
    return
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { allow: METHODS, ...ANY_ORIGIN }).end()
    return
  }
  if (!document) {
    const headers = { 'retry-after': RETRY_AFTER, 'cache-control': 'no-store', ...ANY_ORIGIN }
    response.writeHead(503, headers).end()
    return
  }
  const { body, etag, headers, bodyHeaders } = document
  const { 'if-none-match': known } = request.headers
  // `no-cache` in a request concerns caches on the way; the origin may still answer "not modified".
  if (known !== undefined && fresh({ 'if-none-match': known }, { etag })) {
    response.writeHead(304, [...headers]).end()
    return
  }
  response.writeHead(200, [...headers, ...bodyHeaders])
  response.end(method === 'HEAD' ? undefined : body)
}

/** Lets scripts of every site read the documents. */
const ANY_ORIGIN = { 'access-control-allow-origin': '*' }
const METHODS = 'GET, HEAD, OPTIONS'
/** Seconds for which a browser caches a preflight's answer. */
const PREFLIGHT_MAX_AGE = '3600'

/** Answers OPTIONS with the methods, and allows a browser's preflight (Fetch, section 3.2). */
function allow({ headers }: IncomingMessage, response: ServerResponse): void {
  const asked = headers['access-control-request-headers']
  response
    .writeHead(204, {
      allow: METHODS,
      ...ANY_ORIGIN,
      ...(headers['access-control-request-method'] === undefined
        ? {}
        : {
            'access-control-allow-methods': 'GET, HEAD',
            'access-control-max-age': PREFLIGHT_MAX_AGE,
            ...(asked === undefined ? {} : { 'access-control-allow-headers': asked }),
          }),
    })
    .end()
}
