import { connect } from 'node:net'

/**
 * A keep-alive HTTP/1.1 connection that sends one request at a time. Uses bare sockets, because
 * node:http's client costs more than the measured answers and would hide their differences.
 */
export interface Connection {
  /** @param request all of its bytes, see `requestBytes` */
  send(request: string | Buffer): Promise<Answer>
  close(): void
}

export interface Answer {
  readonly status: number
  /** Status line and header fields, as sent. */
  readonly head: string
  readonly body: Buffer
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as `application/x-www-form-urlencoded`. */
  readonly form?: Readonly<Record<string, string>>
}

const HOST = '127.0.0.1'

export async function openConnection(port: number): Promise<Connection> {
  const socket = connect({ host: HOST, port, noDelay: true })
  let waiting: PromiseWithResolvers<Answer> | undefined
  let received = Buffer.alloc(0)

  const fail = (error: Error) => {
    waiting?.reject(error)
    waiting = undefined
  }
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the server closed the connection')))
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    try {
      const answer = readAnswer(received)
      if (!answer) return
      const { resolve } = waiting ?? Promise.withResolvers<Answer>()
      waiting = undefined
      received = Buffer.alloc(0)
      resolve(answer)
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })

  const opened = Promise.withResolvers<void>()
  socket.once('connect', opened.resolve)
  socket.once('error', opened.reject)
  await opened.promise
  return {
    send: (request) => {
      waiting = Promise.withResolvers<Answer>()
      socket.write(request)
      return waiting.promise
    },
    close: () => socket.destroy(),
  }
}

export function requestBytes(
  method: 'GET' | 'POST',
  path: string,
  { headers = {}, form }: RequestOptions = {},
): string {
  const body = form ? new URLSearchParams(form).toString() : ''
  const fields = {
    host: HOST,
    ...(form
      ? {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': String(Buffer.byteLength(body)),
        }
      : {}),
    ...headers,
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

/** Values of a header field, in order. */
export function headerValues({ head }: Answer, name: string): readonly string[] {
  const prefix = `${name}: `
  return head
    .split('\r\n')
    .filter((line) => line.slice(0, prefix.length).toLowerCase() === prefix)
    .map((line) => line.slice(prefix.length))
}

/** @returns undefined while bytes are missing */
function readAnswer(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const head = bytes.toString('latin1', 0, end)
  const status = Number(head.slice(9, 12))
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length === undefined && status !== 304 && status !== 204) {
    throw new Error(`answer ${status} without Content-Length: ${head.split('\r\n')[0]}`)
  }
  const start = end + 4
  const total = start + Number(length ?? 0)
  if (bytes.length < total) return undefined
  return { status, head, body: bytes.subarray(start, total) }
}
