import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refuse } from './refusals.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>

/** Requests that a process works on, whichever issuer they are for. */
export interface InFlight {
  readonly count: number
  /** Makes what hands a request on, or answers it with 503 where there are too many. */
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
 * Bounds the requests that are worked on at once. Beyond it everything would become slow for
 * everybody, and memory would run out; who is told to come back loses a moment. A request counts until its
 * answer is made: not while its content is on the way, nor while the answer waits to be read, so
 * that nobody can fill the server by being slow.
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
