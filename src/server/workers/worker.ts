import cluster from 'node:cluster'
import type { Registry } from 'prom-client'
import type { Config } from '../../config/schema.ts'
import { Refused } from '../../errors.ts'
import type { Readiness } from '../readiness.ts'
import type { Answers, FromPrimary, FromWorker, Started } from './messages.ts'

/** The server that a worker runs. */
export interface WorkerServer extends Started {
  readonly registry: Registry
  readiness(): Promise<Readiness>
  /** Closes the server after requests under way have finished. */
  close(): Promise<void>
}

/** A worker as it sees itself. */
export interface Worker {
  /** Number from 1; a replacement has a new one. */
  readonly id: number
  /**
   * Starts the server with the primary's configuration, and runs it until the primary says stop.
   */
  run(start: (config: Config) => Promise<WorkerServer>): Promise<void>
  /** Tells the primary why this process is about to end. */
  fail(reason: string): Promise<void>
}

/**
 * The worker that this process is.
 * @throws Refused in a process that no primary has started
 */
export function thisWorker(): Worker {
  const { worker } = cluster
  if (!worker) {
    const message =
      'A worker is started by a server whose http.workers is above 1, never by itself.'
    throw new Refused('worker_alone', {}, message)
  }
  const send = (message: FromWorker) =>
    new Promise<void>((resolve) => {
      worker.send(message, () => resolve())
    })

  return {
    id: worker.id,
    run: async (start) => {
      const configured = Promise.withResolvers<Config>()
      const started = Promise.withResolvers<WorkerServer>()
      const stopped = Promise.withResolvers<void>()
      const answers: { [Q in keyof Answers]: () => Promise<Answers[Q]> } = {
        readiness: async () => (await started.promise).readiness(),
        metrics: async () => (await started.promise).registry.getMetricsAsJSON(),
      }
      worker.on('message', async (message: FromPrimary) => {
        if (message.type === 'start') return configured.resolve(message.config)
        if (message.type === 'stop') return stopped.resolve()
        const { id, question } = message
        // A failing check does not end the worker; the primary reports that there was no answer.
        const answer = await answers[question]().catch(() => undefined)
        await send({ type: 'answer', id, answer })
      })
      // node:cluster ends a worker whose primary is gone, because its listener is gone too.
      await send({ type: 'hello' })
      const server = await start(await configured.promise)
      started.resolve(server)
      const { administrators } = server
      await send({ type: 'ready', started: { administrators } })
      await stopped.promise
      await server.close()
      worker.disconnect()
    },
    fail: (reason) => send({ type: 'failed', reason }),
  }
}
