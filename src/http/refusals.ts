import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Audience } from './audience.ts'
import { RETRY_AFTER } from './retry-after.ts'
import type { Views } from './views.ts'

/** Answers a request that is refused before koa. */
export type Refuse = (request: IncomingMessage, response: ServerResponse, refusal: Refusal) => void

export interface Refusal {
  readonly status: 400 | 413 | 415 | 503
  /** Problem in words for developers, without the text that was sent. */
  readonly description: string
}

/** OAuth's error codes (RFC 6749, sections 4.1.2.1 and 5.2) and words for people. */
const WORDS = {
  400: {
    error: 'invalid_request',
    title: 'This request cannot be completed',
    message: 'The application sent something that we cannot accept. Its makers need to know why.',
  },
  413: {
    error: 'invalid_request',
    title: 'That is too much',
    message: 'What was sent is larger than anything that we ask for.',
  },
  415: {
    error: 'invalid_request',
    title: 'This request cannot be read',
    message: 'The application sent something that we cannot read. Its makers need to know why.',
  },
  503: {
    error: 'temporarily_unavailable',
    title: 'Please try again in a moment',
    message: 'There is more to do here than usual. Nothing that you did was wrong.',
  },
} as const

/**
 * Answers programs with JSON, which scripts of every site may read because it has no secrets, and
 * browsers with a page. Both are rendered once per kind of refusal, because refusals may be many.
 */
export function createRefusals(views: Views, audience: Pick<Audience, 'wantsPage'>): Refuse {
  const rendered = new Map<string, ReturnType<typeof renderRefusal>>()
  return (request, response, refusal) => {
    const { url = '', headers: asked, method } = request
    const [path = ''] = url.split('?', 1)
    const isPage = audience.wantsPage(path, asked.accept)
    const mayRetry = refusal.status === 503 && method === 'GET'
    const name = `${isPage} ${mayRetry} ${refusal.status} ${refusal.description}`
    const { headers, body } =
      rendered.get(name) ?? renderRefusal(views, { isPage, mayRetry }, refusal)
    if (!rendered.has(name) && rendered.size < CACHE_SIZE) rendered.set(name, { headers, body })
    response.writeHead(refusal.status, headers)
    response.end(request.method === 'HEAD' ? undefined : body)
  }
}

/** Most cached refusals: descriptions name parameters, of which there are some dozens. */
const CACHE_SIZE = 100

function renderRefusal(
  views: Views,
  { isPage, mayRetry }: { readonly isPage: boolean; readonly mayRetry: boolean },
  { status, description }: Refusal,
) {
  const { error, ...words } = WORDS[status]
  const headers: Record<string, string> = { 'cache-control': 'no-store', vary: 'Accept' }
  if (status === 503) headers['retry-after'] = RETRY_AFTER
  // RFC 9110, section 12.5.3: it is the encoding that was wrong.
  if (status === 415) headers['accept-encoding'] = 'identity'
  if (!isPage) {
    const body = Buffer.from(JSON.stringify({ error, error_description: description }))
    return withContent({ ...headers, ...ANY_ORIGIN }, 'application/json; charset=utf-8', body)
  }
  const context = {
    type: 'html',
    status: 200,
    body: undefined as unknown,
    set: (fields: object) => void Object.assign(headers, fields),
  }
  const detail = status === 503 ? undefined : `${error}: ${description}`
  // `render` uses only these parts of koa's context.
  views.render(context as never, 'error', { ...words, detail, mayRetry })
  return withContent(headers, 'text/html; charset=utf-8', Buffer.from(String(context.body)))
}

const ANY_ORIGIN = { 'access-control-allow-origin': '*' }

function withContent(headers: Readonly<Record<string, string>>, type: string, body: Buffer) {
  return { headers: { ...headers, 'content-type': type, 'content-length': body.length }, body }
}
