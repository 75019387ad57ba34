import type { ServerResponse } from 'node:http'
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
   * A request has come. HTTP/1.1 allows several before the first answer (RFC 9112, section 9.3.2), and
   * Node hands over all that it has read at once: so a client could begin thousands with one packet.
   * @returns whether it may be handled; otherwise its connection is closed
   */
  begin(socket: Socket, response: ServerResponse): boolean
  /** Answers that have not been sent. */
  answers(): Iterable<ServerResponse>
  readonly size: number
  stop(): void
}

interface Connection {
  readonly answers: Set<ServerResponse>
  /** Bytes that have left this process. */
  sent: number
  /** Sweeps since something left while something was to. */
  stuck: number
}

/** What Node's types leave out, as it is not documented. */
interface ParsedSocket {
  readonly parser?: { onIncoming?: (...request: unknown[]) => number }
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
  parser.onIncoming = function (this: unknown, ...request) {
    return isOver() ? NO_MORE_HTTP : take.apply(this, request)
  }
}

/** Seconds from one look at all connections to the next. */
const SWEEP = 1

/** @param closeIdle closes the connections on which nothing is under way */
export function watchConnections(
  limits: ConnectionLimits,
  closeIdle: () => void,
  onClosed: (bound: ConnectionBound) => void,
): Connections {
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
      }
      // Those that were closed a moment ago are still among the open ones: they count as free.
      const isFull = open.size >= limits.connections
      if (isFull && [...open.keys()].every(({ destroyed }) => !destroyed)) {
        socket.destroy()
        return onClosed('connections')
      }
      const connection: Connection = { answers: new Set(), sent: 0, stuck: 0 }
      open.set(socket, connection)
      parseUnless(socket, () => {
        if (connection.answers.size >= limits.requestsPerConnection) {
          close(socket, 'requestsPerConnection')
        }
        return !open.has(socket)
      })
      // An answer that was never begun does not hear of the end of its connection.
      socket.once('close', () => open.delete(socket))
    },
    begin: (socket, response) => {
      const connection = open.get(socket)
      // Node goes on with what it has read of a connection that is closed.
      if (!connection) return false
      if (connection.answers.size >= limits.requestsPerConnection) {
        close(socket, 'requestsPerConnection')
        return false
      }
      connection.answers.add(response)
      response.once('close', () => connection.answers.delete(response))
      return true
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
