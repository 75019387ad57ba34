import { once } from 'node:events'
import { createServer, type RequestListener, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'

/** A proxy of HTTP as operators put one in front of Keyturn, with what they make it do. */
export interface ReverseProxyOptions {
  readonly port: number
  /** Ports by the beginning of the path; the first that fits. */
  readonly routes: readonly (readonly [path: string, port: number])[]
  /** Header fields that it puts in the place of Keyturn's. */
  readonly headers?: Readonly<Record<string, string>>
  /** PEM; with them it speaks https. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer }
}

export async function startReverseProxy(options: ReverseProxyOptions): Promise<AsyncDisposable> {
  const { routes, headers = {}, tls } = options
  const pass: RequestListener = (incoming, response) => {
    const [, port] = routes.find(([path]) => incoming.url?.startsWith(path)) ?? []
    if (port === undefined) return void response.writeHead(404).end()
    const onward = request({
      host: 'localhost',
      port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
    })
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...headers })
      answer.pipe(response)
    })
    onward.on('error', () => response.writeHead(502).end())
    incoming.pipe(onward)
  }
  const server = tls ? createTlsServer(tls, pass) : createServer(pass)
  server.listen(options.port, 'localhost')
  await once(server, 'listening')
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
