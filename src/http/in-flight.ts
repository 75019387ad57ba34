import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refuse } from './refusals.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>

/** Requests that a process works on, for all of its issuers. */
export interface InFlight {
  readonly count: number
  /** Wraps a handler so that requests beyond the limit are answered with 503. */
  bound(
    handler: Handler,
    options: BoundOptions,
  ): (request: IncomingMessage, response: ServerResponse) => void
}

export interface BoundOptions {
  readonly refuse: Refuse
  readonly onTurnedAway: () => void
}

/**
 * Bounds the requests that are worked on at once, because beyond the bound all requests become slow
 * and memory runs out, whereas a refused client only has to try again. A request counts from its
 * complete content until its answer is made, so that slow clients cannot fill the server.
 * @param most requests at once
 */
export function createInFlight(most: number): InFlight {
  let count = 0
  const done = () => {
    count -= 1
  }
  return {
    get count() {
      return count
    },
    bound:
      (handler, { refuse, onTurnedAway }) =>
      (request, response) => {
        if (count < most) {
          count += 1
          // koa answers its errors itself, and never rejects.
          handler(request, response).then(done, done)
          return
        }
        onTurnedAway()
        refuse(request, response, BUSY)
      },
  }
}

const BUSY = {
  status: 503,
  description: 'this server has too much to do at the moment; try again shortly',
} as const
