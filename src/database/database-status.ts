import { type Clock, toRfc3339 } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'

/** State of the database as seen by its users, for readiness and metrics. */
export interface DatabaseStatus {
  /** True if the last call succeeded. */
  readonly isUsable: boolean
  /** False if the last call or any call within the last RECENT seconds failed. */
  readonly isSound: boolean
  /** Description in words: since when calls fail, and why. */
  readonly detail: string
  /** Calls the listener for a failure after RECENT seconds without one. */
  watch(listener: (status: DatabaseStatus) => void): void
}

export interface DatabaseWatch extends DatabaseStatus {
  /** Wraps a store so that each success and failure of its calls is noted. */
  watched<T extends object>(store: T): T
}

/**
 * Seconds for which a failure is reported although other calls succeed, because successful reads
 * would otherwise hide failing writes.
 */
export const RECENT = 10

export function createDatabaseWatch(clock: Pick<Clock, 'now' | 'elapsed'>): DatabaseWatch {
  const listeners: ((status: DatabaseStatus) => void)[] = []
  let failing: { readonly since: number; reason: string } | undefined
  let last: { readonly elapsed: number; readonly reason: string } | undefined

  const isRecent = () => last !== undefined && clock.elapsed() - last.elapsed < RECENT
  const fail = (error: unknown) => {
    if (!(error instanceof StoreUnavailable)) return
    // With working reads and failing writes the outage would otherwise begin and end all the time.
    const isNew = !failing && !isRecent()
    last = { elapsed: clock.elapsed(), reason: error.message }
    if (failing) {
      failing.reason = error.message
      return
    }
    failing = { since: clock.now(), reason: error.message }
    if (isNew) for (const listener of listeners) listener(watch)
  }
  const succeed = () => {
    failing = undefined
  }
  const noted = (result: unknown): unknown => {
    if (!(result instanceof Promise)) {
      // Results such as the adapter of a model are wrapped too.
      return typeof result === 'object' && result !== null ? watch.watched(result) : result
    }
    result.then(succeed, fail)
    return result
  }

  const watch: DatabaseWatch = {
    get isUsable() {
      return failing === undefined
    },
    get isSound() {
      return failing === undefined && !isRecent()
    },
    get detail() {
      if (failing)
        return `what was asked last failed, since ${toRfc3339(failing.since)}: ${failing.reason}`
      if (isRecent()) return `answers, but within ${RECENT} s something failed: ${last?.reason}`
      return 'answers'
    },
    watch: (listener) => {
      listeners.push(listener)
    },
    watched: (store) => {
      const methods = Object.entries(store).map(([name, member]) => [
        name,
        typeof member === 'function' ? (...args: unknown[]) => noted(member(...args)) : member,
      ])
      // The same names, and functions of the same types.
      return Object.fromEntries(methods) as typeof store
    },
  }
  return watch
}
