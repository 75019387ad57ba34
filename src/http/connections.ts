import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What one connection may cost. */
export interface ConnectionLimits {
  /** Connections at once. */
  readonly connections: number
  /** Requests of one connection that wait for their answers. */
  readonly requestsPerConnection: number
  /** Seconds for which a client may leave what was sent to it unread. */
  readonly unread: number
}

/** Which limit closed a connection. */
export type ConnectionBound = keyof ConnectionLimits

/** The connections of a listener, held to their limits. */
export interface Connections {
  add(socket: Socket): void
  /**
   * Takes a request that has come. HTTP/1.1 allows several before the first answer (RFC 9112, section
   * 9.3.2), and Node hands over all that it has read at once: a client could begin thousands with one
   * packet. So they are handled one after another, and where too many wait the connection is closed.
   */
  take(request: IncomingMessage, response: ServerResponse): void
  /** Answers that have not been sent. */
  answers(): Iterable<ServerResponse>
  readonly size: number
  stop(): void
}

interface Connection {
  /** Those that wait, and some that have been sent since the last look. */
  answers: ServerResponse[]
  /** Bytes that have left this process. */
  sent: number
  /** Sweeps since something left while something was to. */
  stuck: number
}

/** What Node's types leave out, as it is not documented. */
interface ParsedSocket {
  readonly parser?: { onIncoming?: (request: unknown, shouldKeepAlive: unknown) => number }
}

/** What the parser is told so that it takes the rest for another protocol, and leaves it alone. */
const NO_MORE_HTTP = 2

/**
 * Node reads 64 KiB at once and makes a request of everything that it finds there, also once their
 * connection is destroyed: 1,800 short requests cost 10 ms and 4 MB, for each connection. So its parser
 * is asked to stop. Where a later Node has no such parser, a flood is bounded by `begin` alone and
 * costs more time; a test tells.
 */
function parseUnless(socket: Socket, isOver: () => boolean): void {
  const { parser } = socket as ParsedSocket
  const take = parser?.onIncoming
  if (!parser || !take) return
  parser.onIncoming = (request, shouldKeepAlive) =>
    isOver() ? NO_MORE_HTTP : take(request, shouldKeepAlive)
}

/** How many answers wait. Asked with each request, so that none needs a listener for its end. */
function countWaiting(connection: Connection): number {
  const { answers } = connection
  // By far the most frequent: one request after another.
  if (answers.length === 1 && answers[0]?.writableFinished) answers.length = 0
  else if (answers.length > 1) connection.answers = answers.filter(isWaiting)
  return connection.answers.length
}

function isWaiting({ writableFinished }: ServerResponse): boolean {
  return !writableFinished
}

/** Seconds from one look at all connections to the next. */
const SWEEP = 1

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits
  /** Gets each request when its turn has come. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Closes the connections on which nothing is under way. */
  readonly closeIdle: () => void
  readonly onClosed: (bound: ConnectionBound) => void
}

export function watchConnections({
  limits,
  handle,
  closeIdle,
  onClosed,
}: ConnectionsOptions): Connections {
  const open = new Map<Socket, Connection>()
  let hasClosedIdle = false

  function close(socket: Socket, bound: ConnectionBound): void {
    if (!open.delete(socket)) return
    socket.destroy()
    onClosed(bound)
  }

  function sweep(): void {
    hasClosedIdle = false
    for (const [socket, connection] of open) {
      // So that what was sent is not kept until the next request.
      countWaiting(connection)
      const unsent = socket.writableLength
      const sent = socket.bytesWritten - unsent
      connection.stuck = unsent > 0 && sent === connection.sent ? connection.stuck + 1 : 0
      connection.sent = sent
      if (connection.stuck * SWEEP >= limits.unread) close(socket, 'unread')
    }
  }

  const timer = setInterval(sweep, SWEEP * 1000)
  timer.unref()
  return {
    add: (socket) => {
      if (open.size >= limits.connections && !hasClosedIdle) {
        // Once between two sweeps, as it looks at every connection.
        hasClosedIdle = true
        closeIdle()
        // Their `close` event comes a moment later; their places are free at once.
        for (const each of open.keys()) if (each.destroyed) open.delete(each)
      }
      if (open.size >= limits.connections) {
        socket.destroy()
        return onClosed('connections')
      }
      const connection: Connection = { answers: [], sent: 0, stuck: 0 }
      open.set(socket, connection)
      parseUnless(socket, () => {
        if (!open.has(socket)) return true
        if (countWaiting(connection) < limits.requestsPerConnection) return false
        close(socket, 'requestsPerConnection')
        return true
      })
      // An answer that was never begun does not hear of the end of its connection.
      socket.once('close', () => open.delete(socket))
    },
    take: (request, response) => {
      const { socket } = request
      const connection = open.get(socket)
      // Node goes on with what it has read of a connection that is closed.
      if (!connection) return
      const waiting = countWaiting(connection)
      if (waiting >= limits.requestsPerConnection) return close(socket, 'requestsPerConnection')
      const before = connection.answers.at(-1)
      connection.answers.push(response)
      if (waiting === 0 || !before) return handle(request, response)
      before.once('close', () => {
        if (open.has(socket)) handle(request, response)
      })
    },
    answers: function* () {
      for (const { answers } of open.values()) yield* answers
    },
    get size() {
      return open.size
    },
    stop: () => clearInterval(timer),
  }
}
