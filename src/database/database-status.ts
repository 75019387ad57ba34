import { type Clock, toRfc3339 } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'

/** How the database is for those who ask it things, for readiness and metrics. */
export interface DatabaseStatus {
  /** Did the last thing that was asked of it work? */
  readonly isUsable: boolean
  /** Did anything fail within the last RECENT seconds, or the last thing? */
  readonly isSound: boolean
  /** In words: since when it fails, and why. */
  readonly detail: string
  /** Calls the listener where something fails after RECENT seconds in which nothing did. */
  watch(listener: (status: DatabaseStatus) => void): void
}

export interface DatabaseWatch extends DatabaseStatus {
  /** The same store, of whose calls each success and failure is noted. */
  watched<T extends object>(store: T): T
}

/**
 * Seconds that a failure is told of although other things work: where writes fail and reads do not, each
 * read would otherwise hide it.
 */
export const RECENT = 10

export function createDatabaseWatch(clock: Pick<Clock, 'now' | 'elapsed'>): DatabaseWatch {
  const listeners: ((status: DatabaseStatus) => void)[] = []
  let failing: { readonly since: number; reason: string } | undefined
  let last: { readonly elapsed: number; readonly reason: string } | undefined

  const isRecent = () => last !== undefined && clock.elapsed() - last.elapsed < RECENT
  const fail = (error: unknown) => {
    if (!(error instanceof StoreUnavailable)) return
    // Where reads work and writes do not, it would begin and end all the time.
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
      // An adapter of one model, and its like.
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
