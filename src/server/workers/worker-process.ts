import cluster, { type Worker } from 'node:cluster'
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config/schema.ts'
import type { Answer, Answers, FromPrimary, FromWorker, Started } from './messages.ts'

/** A worker as its primary sees it. */
export interface WorkerProcess {
  /** Number from 1; a replacement has a new one. */
  readonly id: number
  readonly pid: number
  /** True while the worker answers requests. */
  readonly isRunning: boolean
  /** Resolves when the worker answers requests; with undefined if it ends before. */
  readonly started: Promise<Started | undefined>
  readonly ended: Promise<WorkerEnd>
  /** @returns undefined if the worker does not answer within `ANSWER_LIMIT`, or ends */
  ask<Question extends keyof Answers>(question: Question): Promise<Answers[Question] | undefined>
  /** Lets the worker finish its requests and end. */
  stop(): void
  kill(): void
}

export interface WorkerEnd {
  /** Reason in words: the worker's own, or else its exit status or signal. */
  readonly reason: string
  /** Seconds for which the worker answered requests; 0 if it never did. */
  readonly lived: number
}

/** Seconds for an answer, because probes of load balancers wait only about a second. */
const ANSWER_LIMIT = 0.8

/** Starts a worker, which gets its configuration when it asks for it. */
export function launchWorker(config: Config, clock: Clock): WorkerProcess {
  const worker = cluster.fork()
  closeLostConnection(worker)
  const started = Promise.withResolvers<Started | undefined>()
  const ended = Promise.withResolvers<WorkerEnd>()
  const questions = new Map<number, (answer: Answer | undefined) => void>()
  let questionId = 0
  let readyAt: number | undefined
  let reason: string | undefined
  let isStopping = false
  let hasEnded = false

  // The worker may have ended a moment ago, which is reported separately.
  const send = (message: FromPrimary) => {
    if (worker.isConnected()) worker.send(message, () => {})
  }
  const end = (why: string) => {
    hasEnded = true
    const lived = readyAt === undefined ? 0 : clock.elapsed() - readyAt
    ended.resolve({ reason: reason ?? why, lived })
    started.resolve(undefined)
  }
  worker.on('message', (message: FromWorker) => {
    if (message.type === 'hello') {
      // The worker has nothing open yet, and an earlier message to stop was lost.
      if (isStopping) worker.process.kill('SIGKILL')
      return send({ type: 'start', config })
    }
    if (message.type === 'ready') {
      readyAt = clock.elapsed()
      return started.resolve(message.started)
    }
    if (message.type === 'failed') {
      reason = message.reason
      return
    }
    questions.get(message.id)?.(message.answer)
  })
  worker.on('exit', (status, signal) => {
    end(signal ? `it was ended by ${signal}` : `it ended with exit status ${status}`)
  })
  worker.on('error', (error) => {
    // A process that could not be started emits no exit.
    if (worker.process.pid === undefined) end(`its process could not be made: ${error.message}`)
  })

  return {
    id: worker.id,
    // A process that could not be started has no id.
    pid: worker.process.pid ?? 0,
    get isRunning() {
      return readyAt !== undefined && !hasEnded
    },
    started: started.promise,
    ended: ended.promise,
    ask: async (question) => {
      questionId += 1
      const id = questionId
      const answered = Promise.withResolvers<Answers[typeof question] | undefined>()
      // The id ties the answer to its question.
      questions.set(id, answered.resolve as (answer: Answer | undefined) => void)
      send({ type: 'ask', id, question })
      const late = new AbortController()
      const nothing = () => undefined
      try {
        return await Promise.race([
          answered.promise,
          ended.promise.then(nothing),
          clock.sleep(ANSWER_LIMIT, late.signal).then(nothing),
        ])
      } finally {
        late.abort()
        questions.delete(id)
      }
    },
    stop: () => {
      isStopping = true
      send({ type: 'stop' })
    },
    kill: () => worker.process.kill('SIGKILL'),
  }
}

/**
 * Closes the connection that was being handed to a worker when it died, because node:cluster keeps
 * it open and forgets it, so that its client would wait for ever. There is at most one, because a
 * worker gets the next connection only after it has taken the last, which closes the primary's
 * handle.
 */
function closeLostConnection(worker: Worker): void {
  const { process: child } = worker
  // The overloads of `send` differ in what may be left out.
  const send = child.send.bind(child) as (...sent: unknown[]) => boolean
  let handed: { close(): void } | undefined
  child.send = (...sent: unknown[]) => {
    // After the message comes a handle, which may be closed twice, a callback or nothing.
    const [, handle] = sent
    if (handle && typeof handle === 'object') handed = handle as typeof handed
    return send(...sent)
  }
  worker.on('exit', () => handed?.close())
}
