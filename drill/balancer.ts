import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { LostRequest } from './journal.ts'

/**
 * A round-robin proxy over the ready nodes, like a usual load balancer: it polls each node's
 * readiness, and sends a request to another node only if it never reached the first one, or if it
 * is a GET without an answer or with a 503.
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

export interface Upstream {
  readonly name: string
  readonly port: number
  readonly managementPort: number
}

/** Request header: the node that must not answer, unless it is the only one. */
export const AVOID_HEADER = 'x-drill-avoid'
/** Response header: the node that answered. */
export const NODE_HEADER = 'x-drill-node'

/** Milliseconds between two polls. */
const HEALTH_INTERVAL = 200
const HEALTH_TIMEOUT = 1000
const ANSWER_TIMEOUT = 15_000

interface Node extends Upstream {
  readonly agent: Agent
  isReady: boolean
  served: number
}

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
  const nodes = new Map<string, Node>()
  const served = new Map<string, number>()
  const stopping = new AbortController()
  let turn = 0
  let retried = 0

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const from = Date.now()
    const body = Buffer.concat(await Array.fromAsync(request))
    const avoid = request.headers[AVOID_HEADER]
    const tried = new Set<string>()
    let why = 'no node is ready'
    let last: string | undefined
    for (;;) {
      const node = choose(tried, typeof avoid === 'string' ? avoid : undefined)
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

  function choose(tried: ReadonlySet<string>, avoid: string | undefined): Node | undefined {
    const ready = [...nodes.values()].filter((node) => node.isReady && !tried.has(node.name))
    const others = ready.filter((node) => node.name !== avoid)
    const from = others.length > 0 ? others : ready
    turn += 1
    return from[turn % from.length]
  }

  async function watch(node: Node): Promise<void> {
    while (!stopping.signal.aborted && nodes.get(node.name) === node) {
      const url = `http://127.0.0.1:${node.managementPort}/health/ready`
      const signal = AbortSignal.timeout(HEALTH_TIMEOUT)
      node.isReady = await fetch(url, { signal }).then(
        async (answer) => {
          await answer.body?.cancel()
          return answer.ok
        },
        () => false,
      )
      await delay(HEALTH_INTERVAL, undefined, { signal: stopping.signal }).catch(() => {})
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
    add: (upstream) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 64 })
      const node = { ...upstream, agent, isReady: false, served: 0 }
      nodes.set(node.name, node)
      void watch(node)
    },
    remove: (name) => {
      nodes.get(name)?.agent.destroy()
      nodes.delete(name)
    },
    isReady: (name) => nodes.get(name)?.isReady ?? false,
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      for (const { agent } of nodes.values()) agent.destroy()
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
  node: Node,
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
      if (neverReached || error.code === 'ECONNRESET') node.isReady = false
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
