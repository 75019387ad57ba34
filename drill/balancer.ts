import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { LostRequest } from './journal.ts'
import { createUpstreams, type ReadyNode, type Upstream } from './upstreams.ts'

/**
 * A round-robin proxy over the ready nodes (`upstreams.ts`), like a usual load balancer: it sends a
 * request to another node only if it never reached the first one, or if it is a GET without an
 * answer or with a 503.
 */
export interface Balancer extends AsyncDisposable {
  readonly url: string
  add(upstream: Upstream): void
  remove(name: string): void
  /** True if the node was ready at the last poll. */
  isReady(name: string): boolean
  /** Number of answers by node. */
  readonly served: ReadonlyMap<string, number>
  /** Number of requests that were answered by another node than the first one. */
  readonly retried: () => number
}

/** Request header: the node that must not answer, unless it is the only one. */
export const AVOID_HEADER = 'x-drill-avoid'
/** Response header: the node that answered. */
export const NODE_HEADER = 'x-drill-node'

/** Milliseconds. */
const ANSWER_TIMEOUT = 15_000

/** An upstream failed before it gave a byte of an answer. */
class UpstreamFailure extends Error {
  readonly mayRetry: boolean

  constructor(message: string, mayRetry: boolean) {
    super(message)
    this.mayRetry = mayRetry
  }
}

export interface BalancerOptions {
  readonly port: number
  /** Called for each request without an answer or with 5xx. */
  readonly onLost: (request: LostRequest) => void
  /** Called for each request that is sent to another node too. */
  readonly onRetry: (request: LostRequest) => void
}

export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const upstreams = createUpstreams()
  const served = new Map<string, number>()
  let retried = 0

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const from = Date.now()
    const body = Buffer.concat(await Array.fromAsync(request))
    const avoid = request.headers[AVOID_HEADER]
    const tried = new Set<string>()
    let why = 'no node is ready'
    let last: string | undefined
    for (;;) {
      const node = upstreams.choose(tried, typeof avoid === 'string' ? avoid : undefined)
      if (!node) break
      if (tried.size > 0) retried += 1
      tried.add(node.name)
      last = node.name
      try {
        const failure = await forward(node, request, { body, response })
        served.set(node.name, (served.get(node.name) ?? 0) + 1)
        if (failure) options.onLost(failed(`answered ${failure}`))
        return
      } catch (error) {
        why = error instanceof Error ? error.message : String(error)
        if (!(error instanceof UpstreamFailure && error.mayRetry)) break
        options.onRetry(failed(why))
      }
    }
    options.onLost(failed(why))
    if (response.headersSent) response.destroy()
    else response.writeHead(502, { 'content-type': 'text/plain' }).end(why)

    function failed(reason: string): LostRequest {
      const { method, url = '' } = request
      const name = `${method} ${url.split('?')[0]}`
      return { request: name, node: last, why: reason, from, to: Date.now() }
    }
  }

  // Only clients close idle connections, because a balancer that closed one would sometimes do so
  // at the moment a request is sent on it, and a POST is not sent again.
  const server = createServer(
    { keepAliveTimeout: 0 },
    (request, response) => void handle(request, response),
  )
  server.listen(options.port, 'localhost')
  await once(server, 'listening')
  return {
    url: `http://localhost:${options.port}`,
    served,
    retried: () => retried,
    add: upstreams.add,
    remove: upstreams.remove,
    isReady: upstreams.isReady,
    [Symbol.asyncDispose]: async () => {
      upstreams.close()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** OAuth's way to say 5xx to a client through the browser (RFC 6749, section 4.1.2.1). */
const FAILED_REDIRECT = /[?&]error=(server_error|temporarily_unavailable)\b/

/** @returns how the answer that was passed on failed; undefined if it did not */
async function forward(
  node: ReadyNode,
  request: IncomingMessage,
  { body, response }: { body: Buffer; response: ServerResponse },
): Promise<string | undefined> {
  const { method = 'GET', url, headers } = request
  const isIdempotent = method === 'GET' || method === 'HEAD'
  const { [AVOID_HEADER]: _, ...passed } = headers
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const upstream = send({
      host: '127.0.0.1',
      port: node.port,
      method,
      path: url,
      agent: node.agent,
      headers: { ...passed, 'x-forwarded-for': '127.0.0.1' },
      timeout: ANSWER_TIMEOUT,
    })
    upstream.on('response', resolve)
    upstream.on('timeout', () => upstream.destroy(new Error('no answer in time')))
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      const neverReached = error.code === 'ECONNREFUSED'
      if (neverReached || error.code === 'ECONNRESET') node.noteFailure()
      reject(new UpstreamFailure(error.message, neverReached || isIdempotent))
    })
    upstream.end(body)
  })
  const { statusCode: status = 502 } = answer
  if (status === 503 && isIdempotent) {
    answer.resume()
    throw new UpstreamFailure(`answered ${status}`, true)
  }
  let content: Buffer
  try {
    content = Buffer.concat(await Array.fromAsync(answer))
  } catch (error) {
    throw new UpstreamFailure(`broke off its answer: ${error}`, isIdempotent)
  }
  response.writeHead(status, { ...answer.headers, [NODE_HEADER]: node.name })
  response.end(content)
  if (status >= 500) return String(status)
  return FAILED_REDIRECT.exec(answer.headers.location ?? '')?.[1]
}
