import type { Cluster, Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import {
  connectionOptions,
  createClient,
  createListener,
  describe,
  type RedisSettings,
} from './client.ts'
import { explain } from './failures.ts'
import { createLink } from './link.ts'
import { createOutageWatch, type RedisStatus } from './outage.ts'
import { createRun, type Run } from './run.ts'
import { writeByTurns } from './write-by-turns.ts'

export interface RedisConnection {
  /**
   * Standalone, Sentinel or Cluster. Callers that bypass `run` must handle time-outs and retries
   * themselves.
   */
  readonly client: Redis | Cluster
  /** Prefix of every key and channel. */
  readonly prefix: string
  readonly status: RedisStatus
  /** Sends commands, again and again if need be. */
  readonly run: Run
  /** For callers that bypass `run`: reports that Redis refused a command. */
  refused(error: unknown): void
  /** Runs a job at the end of this turn of the event loop, just before its commands are sent. */
  atEndOfTurn(job: () => void): void
  /** Opens a connection for messages; to any node of a Cluster, because each gets all messages. */
  openListener(): Redis
  close(): void
}

/** Connects with the first command, or when `client.connect()` is called. */
export function openRedis(settings: RedisSettings, clock: Clock): RedisConnection {
  const { prefix, timeout } = settings
  const options = connectionOptions(settings)
  const client = createClient(settings, options)
  const outage = createOutageWatch({ where: describe(settings), clock })
  const isSecure = options.tls !== undefined
  const link = createLink(client, { outage, timeout, isSecure, clock })
  return {
    client,
    prefix,
    status: outage,
    run: createRun(link, outage, timeout * 1000),
    refused: (error) => outage.refuse(explain(error)),
    atEndOfTurn: writeByTurns(client),
    openListener: () => createListener(client, options, settings),
    close: () => link.close(),
  }
}
