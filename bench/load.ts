import { type Connection, openConnection } from './connection.ts'

/** Operation that a connection repeats; resolves when the operation is complete. */
export type Operation = () => Promise<void>

/** Prepares the operation of one connection: signs in, gets tokens and the like. Not measured. */
export type Prepare = (connection: Connection, index: number) => Promise<Operation>

export interface LoadOptions {
  readonly port: number
  readonly prepare: Prepare
  /** Milliseconds. */
  readonly duration: number
  /**
   * Called right before the first operation, when all connections are prepared, and right after the
   * last.
   */
  readonly around?: { begin(): Promise<void>; end(): Promise<void> }
}

export interface LoadResult {
  readonly operations: number
  /** Operations per second. */
  readonly rate: number
  /** Milliseconds of each operation. */
  readonly latencies: readonly number[]
}

/** Parallel connections: enough to keep a server busy, few enough for meaningful latencies. */
export const CONNECTIONS = 8

/**
 * Runs operations on all connections in parallel, and on each connection one after another, for
 * `duration`.
 */
export async function runLoad({ port, prepare, duration, around }: LoadOptions) {
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => openConnection(port)),
  )
  try {
    const operations: Operation[] = []
    for (const [index, connection] of connections.entries()) {
      operations.push(await prepare(connection, index))
    }
    await around?.begin()
    const latencies: number[] = []
    const startedAt = performance.now()
    await Promise.all(
      operations.map(async (operate) => {
        let now = performance.now()
        while (now - startedAt < duration) {
          await operate()
          const done = performance.now()
          latencies.push(done - now)
          now = done
        }
      }),
    )
    const elapsed = performance.now() - startedAt
    await around?.end()
    const rate = (latencies.length / elapsed) * 1000
    return { operations: latencies.length, rate, latencies } satisfies LoadResult
  } finally {
    for (const connection of connections) connection.close()
  }
}
