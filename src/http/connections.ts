import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { createHeldConnections } from './held-connections.ts'

/** Limits of connections. */
export interface ConnectionLimits {
  /** Connections at once. */
  readonly connections: number
  /** Requests of one connection that wait for their answers. */
  readonly requestsPerConnection: number
  /** Chunks in which the content of these requests arrives (RFC 9112, section 7.1). */
  readonly chunks: number
  /** Seconds for which a client may leave sent data unread. */
  readonly unread: number
}

/** Name of the limit that closed a connection. */
export type ConnectionBound = keyof ConnectionLimits

/** The connections of a listener, held to their limits. */
export interface Connections {
  add(socket: Socket): void
  /**
   * Takes a request that has arrived. HTTP/1.1 allows several requests before the first answer (RFC
   * 9112, section 9.3.2), and Node passes on all that it has read at once, so a client could begin
   * thousands with one packet. So requests of a connection are handled one after another, and a
   * connection with too many waiting requests is closed.
   */
  take(request: IncomingMessage, response: ServerResponse): void
  /** Answers that have not been sent. */
  answers(): Iterable<ServerResponse>
  /** Connections that are open, those among them that a limit has ended but that are still held. */
  readonly size: number
  /** Closes the connections on which nothing is under way, and those that are held. */
  closeIdle(): void
  /** Closes all connections at once, those that left HTTP by a CONNECT among them. */
  closeAll(): void
  stop(): void
}

interface Connection {
  /** Waiting answers, and some that have been sent since the last count. */
  answers: ServerResponse[]
  /** Chunks since a request arrived while no other waited. */
  chunks: number
  /** True if a request has arrived whose answer ends the connection (RFC 9112, section 9.6). */
  hasLast: boolean
  /** Bytes that have left this process. */
  sent: number
  /** Sweeps in a row in which unsent data waited and nothing was sent. */
  stuck: number
}

/** Undocumented part of Node's sockets, which the types lack. */
interface ParsedSocket {
  readonly parser?: { onIncoming?: (request: unknown, shouldKeepAlive: unknown) => number }
}

/** Return value that makes Node's parser stop, because it takes the rest for another protocol. */
const NO_MORE_HTTP = 2

/**
 * Stops Node's parser once the connection is over. Node reads 64 KiB at once and parses every
 * request in it, even after the connection is destroyed: 1,800 short requests cost 10 ms and 4 MB
 * per connection. If a later Node lacks this hook, a flood is bounded by `take` alone and costs
 * more time; a test reports that.
 */
function parseUnless(socket: Socket, isOver: () => boolean): void {
  const { parser } = socket as ParsedSocket
  const take = parser?.onIncoming
  if (!parser || !take) return
  parser.onIncoming = (request, shouldKeepAlive) =>
    isOver() ? NO_MORE_HTTP : take(request, shouldKeepAlive)
}

/**
 * Number of waiting answers, counted at each request, so that no answer needs a listener for its
 * end.
 */
function countWaiting(connection: Connection): number {
  const { answers } = connection
  // The most frequent case: one request after another.
  if (answers.length === 1 && answers[0]?.writableFinished) answers.length = 0
  else if (answers.length > 1) connection.answers = answers.filter(isWaiting)
  return connection.answers.length
}

function isWaiting({ writableFinished }: ServerResponse): boolean {
  return !writableFinished
}

/**
 * Tells whether HTTP/1.0 content came in chunks, which HTTP/1.0 does not know, so a proxy before
 * this server may take the content for further requests (RFC 9112, section 6.1).
 */
function hasFaultyFraming({ httpVersion, headers }: IncomingMessage): boolean {
  return httpVersion === '1.0' && headers['transfer-encoding'] !== undefined
}

/** Ends a connection that exceeds a limit. @returns whether it is over, now or before */
type EndBeyond = (
  socket: Socket,
  bound: 'requestsPerConnection' | 'chunks',
  count: number,
) => boolean

/**
 * Counts the chunks of a request's content, because Node makes a buffer of each: content of one
 * byte a chunk costs a hundred times the work and memory of the same content in one piece.
 */
function countChunks(request: IncomingMessage, connection: Connection, endBeyond: EndBeyond): void {
  if (request.headers['transfer-encoding'] === undefined) return
  const push = request.push.bind(request)
  request.push = (chunk, encoding) => {
    connection.chunks += 1
    return endBeyond(request.socket, 'chunks', connection.chunks) || push(chunk, encoding)
  }
}

/** Seconds between two checks of all connections. */
const SWEEP = 1

/** Seconds for which unsent data has waited and nothing was sent, in steps of a sweep. */
function countUnread(socket: Socket, connection: Connection): number {
  const unsent = socket.writableLength
  const sent = socket.bytesWritten - unsent
  connection.stuck = unsent > 0 && sent === connection.sent ? connection.stuck + 1 : 0
  connection.sent = sent
  return connection.stuck * SWEEP
}

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits
  /** Handles each request when those before it are answered. */
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
  const held = createHeldConnections()
  let hasClosedIdle = false

  const endBeyond: EndBeyond = (socket, bound, count) => {
    const connection = open.get(socket)
    if (!connection) return true
    if (count <= limits[bound]) return false
    open.delete(socket)
    // A socket that has lived for some time would keep its answers until V8 collects the whole
    // heap, long after both are out of use.
    connection.answers = []
    held.hold(socket)
    onClosed(bound)
    return true
  }

  function closeUnused(): void {
    closeIdle()
    held.closeAll()
  }

  function sweep(): void {
    hasClosedIdle = false
    for (const [socket, connection] of open) {
      // Frees answers that were sent, which would otherwise be kept until the next request.
      countWaiting(connection)
      if (countUnread(socket, connection) < limits.unread) continue
      open.delete(socket)
      socket.destroy()
      onClosed('unread')
    }
  }

  const size = () => open.size + held.size
  const timer = setInterval(sweep, SWEEP * 1000)
  timer.unref()
  return {
    add: (socket) => {
      if (size() >= limits.connections && !hasClosedIdle) {
        // Only once between two sweeps, because `closeIdle` visits every connection.
        hasClosedIdle = true
        closeUnused()
        // Their `close` event comes a moment later; their places are free at once.
        for (const each of open.keys()) if (each.destroyed) open.delete(each)
      }
      if (size() >= limits.connections) {
        socket.destroy()
        return onClosed('connections')
      }
      const connection: Connection = { answers: [], chunks: 0, hasLast: false, sent: 0, stuck: 0 }
      open.set(socket, connection)
      parseUnless(socket, () =>
        endBeyond(socket, 'requestsPerConnection', countWaiting(connection) + 1),
      )
      // The socket's event, because an answer that was never begun gets no event of its own.
      socket.once('close', () => open.delete(socket))
    },
    take: (request, response) => {
      const { socket } = request
      const connection = open.get(socket)
      // Node still passes on requests that it read before the connection was closed.
      if (!connection || connection.hasLast) return
      const waiting = countWaiting(connection)
      if (endBeyond(socket, 'requestsPerConnection', waiting + 1)) return
      const before = connection.answers.at(-1)
      connection.answers.push(response)
      if (hasFaultyFraming(request)) response.shouldKeepAlive = false
      connection.hasLast = !response.shouldKeepAlive
      if (waiting === 0) connection.chunks = 0
      countChunks(request, connection, endBeyond)
      const begin = () => {
        if (open.has(socket)) handle(request, response)
      }
      if (before && waiting > 0) before.once('close', begin)
      // When all requests that Node read at once are known, because they may be too many.
      else process.nextTick(begin)
    },
    answers: function* () {
      for (const { answers } of open.values()) yield* answers
    },
    get size() {
      return size()
    },
    closeIdle: closeUnused,
    closeAll: () => {
      held.closeAll()
      for (const socket of open.keys()) socket.destroy()
    },
    stop: () => clearInterval(timer),
  }
}
