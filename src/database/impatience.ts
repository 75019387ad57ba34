import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { SILENT } from './driver-code.ts'

/** A pool of pg or mysql2, which emits events when a connection is taken and given back. */
type Pool = Pick<EventEmitter, 'on'>

/** A connection of pg keeps its socket one level deeper than one of mysql2. */
type Connection = { readonly stream: Socket } | { readonly connection: { readonly stream: Socket } }

/**
 * Closes a connection that is in use and silent for longer than `timeout` seconds. The server's own
 * limits do not help if the server is gone: after a lost route or the death of a machine no packet
 * arrives, and a connection without an answer would be handed out again and again.
 */
export function limitSilence<T extends Pool>(pool: T, timeout: number): T {
  const guarded = new WeakSet<Socket>()
  pool.on('acquire', (connection: Connection) => {
    const socket = socketOf(connection)
    // A second more than the server's own limit, which leaves the connection usable.
    socket.setTimeout((timeout + 1) * 1000)
    if (guarded.has(socket)) return
    guarded.add(socket)
    socket.on('timeout', () => socket.destroy(silence()))
  })
  pool.on('release', (first: unknown, second?: Connection) => {
    // pg passes an error first; mysql2 does not.
    socketOf(second ?? (first as Connection)).setTimeout(0)
  })
  return pool
}

/** Removes the limit for slow work, until the connection is given back. */
export function waitForever(connection: Connection): void {
  socketOf(connection).setTimeout(0)
}

function socketOf(connection: Connection): Socket {
  return 'stream' in connection ? connection.stream : connection.connection.stream
}

/** The error that ends a connection without an answer. */
export function silence(): Error {
  return Object.assign(new Error('the server does not answer'), { code: SILENT })
}
