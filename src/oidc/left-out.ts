import type { Client } from './request-parameters.ts'

/** Most characters of a scope in a log line. */
const LOGGED_LENGTH = 100

/**
 * A scope that a client asked for and does not get, without an error: `scope` of the answer omits
 * it.
 */
export interface LeftOut {
  readonly client: string
  readonly scope: string
  readonly reason: string
}

export function leftOut({ clientId }: Client, scope: string, reason: string): LeftOut {
  return { client: clientId, scope: scope.slice(0, LOGGED_LENGTH), reason }
}
