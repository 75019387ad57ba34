import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refuse } from './refusals.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>

/** Requests that a process works on, for all of its issuers. */
export interface InFlight {
  readonly count: number
  /** Wraps a handler so that requests beyond a limit are answered with 503. */
  bound(
    handler: Handler,
    options: BoundOptions,
  ): (request: IncomingMessage, response: ServerResponse) => void
}

export interface InFlightLimits {
  /** Requests that are worked on at once. */
  readonly requests: number
  /** Seconds to answer a request. */
  readonly answerTime: number
}

export interface BoundOptions {
  readonly refuse: Refuse
  readonly onTurnedAway: () => void
  /** Called with a request that took too long. */
  readonly onLate: (request: IncomingMessage) => void
}

/**
 * Bounds the requests that are worked on at once, because beyond the bound all requests become slow
 * and memory runs out, whereas a refused client only has to try again. A request counts from its
 * complete content until its answer is made, so that slow clients cannot fill the server.
 *
 * Bounds the time to an answer too: a request waits for a store several times, and each wait has
 * only a limit of its own.
 */
export function createInFlight({ requests, answerTime }: InFlightLimits): InFlight {
  let count = 0
  return {
    get count() {
      return count
    },
    bound: (handler, { refuse, onTurnedAway, onLate }) => {
      function giveUp(request: IncomingMessage, response: ServerResponse): void {
        if (response.headersSent || response.destroyed) return
        onLate(request)
        // What the handler has set so far, such as a cookie, belongs to an answer that nobody gets.
        for (const name of response.getHeaderNames()) response.removeHeader(name)
        refuse(request, response, LATE)
        // The handler goes on, and must not fail because it sets a cookie after the answer.
        response.setHeader = () => response
      }

      return (request, response) => {
        if (count >= requests) {
          onTurnedAway()
          refuse(request, response, BUSY)
          return
        }
        count += 1
        const late = setTimeout(giveUp, answerTime * 1000, request, response)
        const done = () => {
          count -= 1
          clearTimeout(late)
        }
        // koa answers its errors itself, and never rejects.
        handler(request, response).then(done, done)
      }
    },
  }
}

const BUSY = {
  status: 503,
  description: 'this server has too much to do at the moment; try again shortly',
} as const

const LATE = {
  status: 503,
  description: 'this server could not answer in time; try again shortly',
} as const
