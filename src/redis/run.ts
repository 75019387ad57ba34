import { ReplyError } from 'ioredis'
import { StoreUnavailable } from '../errors.ts'
import { RETRY_PAUSE } from './client.ts'
import { explain, isTemporary } from './failures.ts'
import type { Link } from './link.ts'
import type { OutageWatch } from './outage.ts'

/**
 * Sends commands, and sends them again if the connection broke or a failover is under way, so
 * `send` must be idempotent. Never takes longer than the timeout; fails at once if Redis has been
 * unreachable for longer than that.
 * @param what completes "Cannot ..."
 * @throws StoreUnavailable
 */
export type Run = <T>(
  what: string,
  send: () => Promise<T>,
  how?: { readonly isRead?: boolean },
) => Promise<T>

/** @param timeout milliseconds that a call takes at most */
export function createRun(link: Link, outage: OutageWatch, timeout: number): Run {
  return function run<T>(
    what: string,
    send: () => Promise<T>,
    { isRead = false } = {},
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let isSettled = false
    let lastError: unknown
    /**
     * Attempts that may have been executed without an answer; the answer to a later attempt does
     * not tell.
     */
    const sent = { isUnanswered: false, wasLost: false }
    let pause = RETRY_PAUSE.first
    let retry: NodeJS.Timeout | undefined
    const deadline = setTimeout(() => {
      link.noteTimeout(lastError)
      fail()
    }, timeout)

    const settle = () => {
      isSettled = true
      clearTimeout(deadline)
      clearTimeout(retry)
      link.stopWaiting(attempt)
    }
    const fail = () => {
      settle()
      const mayBeDone = !isRead && (sent.isUnanswered || sent.wasLost)
      const words = mayBeDone
        ? `It is not known whether this was done: ${what}. No answer came`
        : `Cannot ${what}`
      reject(new StoreUnavailable(`${words}: ${outage.detail}`, lastError, { mayBeDone }))
    }
    const succeed = (result: T) => {
      settle()
      outage.end()
      resolve(result)
    }
    const tryAgain = (error: unknown) => {
      if (isSettled) return
      lastError = error
      sent.isUnanswered = false
      if (!(error instanceof ReplyError)) sent.wasLost = true
      if (isTemporary(error)) {
        pause = Math.min(pause * 2, RETRY_PAUSE.most)
        retry = setTimeout(attempt, pause)
        return
      }
      outage.refuse(explain(error))
      fail()
    }
    const attempt = () => {
      link.stopWaiting(attempt)
      if (link.isOnWrongDatabase) return fail()
      if (link.isReady) {
        sent.isUnanswered = true
        send().then(succeed, tryAgain)
        return
      }
      if (link.isGivenUp) return fail()
      link.wait(attempt)
    }
    attempt()
    return promise
  }
}
