import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { SILENT } from './failures.ts'

/** Pools of pg and mysql2 say when a connection is taken and given back. */
type Pool = Pick<EventEmitter, 'on'>

/** A connection of pg keeps its socket one level deeper than one of mysql2. */
type Connection = { readonly stream: Socket } | { readonly connection: { readonly stream: Socket } }

/**
 * Closes a connection that is in use and silent for longer than `timeout` seconds. The limits that
 * a server keeps do not help where the server is gone: nobody says so after a lost route or a
 * machine that died, and a connection without an answer would be handed out again and again.
 */
export function limitSilence<T extends Pool>(pool: T, timeout: number): T {
  const guarded = new WeakSet<Socket>()
  pool.on('acquire', (connection: Connection) => {
    const socket = socketOf(connection)
    // A second later than the server's own limit, which leaves the connection usable.
    socket.setTimeout((timeout + 1) * 1000)
    if (guarded.has(socket)) return
    guarded.add(socket)
    socket.on('timeout', () => socket.destroy(silence()))
  })
  pool.on('release', (first: unknown, second?: Connection) => {
    // pg tells an error first; mysql2 knows none.
    socketOf(second ?? (first as Connection)).setTimeout(0)
  })
  return pool
}

/** For work that may take its time, until the connection is given back. */
export function waitForever(connection: Connection): void {
  socketOf(connection).setTimeout(0)
}

function socketOf(connection: Connection): Socket {
  return 'stream' in connection ? connection.stream : connection.connection.stream
}

/** What a connection is ended with that waits in vain. */
export function silence(): Error {
  return Object.assign(new Error('the server does not answer'), { code: SILENT })
}
