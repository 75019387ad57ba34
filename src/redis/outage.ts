import { type Clock, toRfc3339 } from '../clock.ts'

/** How Redis is, for readiness and metrics. */
export interface RedisStatus {
  readonly isReachable: boolean
  /** In words: which Redis, and where it is not reachable, since when and why. */
  readonly detail: string
  /** Calls the listener with each change. */
  watch(listener: (status: RedisStatus) => void): void
}

export interface OutageWatch extends RedisStatus {
  /**
   * Notes that something did not work; the first of a row counts as the beginning.
   * @param reason where it is known; what was known before stays otherwise
   */
  begin(reason?: string): void
  end(): void
  /** Seconds since the beginning; 0 where there is no outage. */
  age(): number
}

/** Remembers since when Redis does not do what it should, and why. */
export function createOutageWatch({
  where,
  clock,
}: {
  readonly where: string
  readonly clock: Pick<Clock, 'now' | 'elapsed'>
}): OutageWatch {
  const listeners: ((status: RedisStatus) => void)[] = []
  let outage: { since: number; began: number; reason: string } | undefined

  const watch: OutageWatch = {
    get isReachable() {
      return outage === undefined
    },
    get detail() {
      if (!outage) return `${where} answers`
      return `${where} has not been usable since ${toRfc3339(outage.since)}: ${outage.reason}`
    },
    watch: (listener) => {
      listeners.push(listener)
    },
    begin: (reason) => {
      if (outage) {
        outage.reason = reason ?? outage.reason
        return
      }
      const began = clock.elapsed()
      outage = { since: clock.now(), began, reason: reason ?? 'it does not answer' }
      for (const listener of listeners) listener(watch)
    },
    end: () => {
      if (!outage) return
      outage = undefined
      for (const listener of listeners) listener(watch)
    },
    age: () => (outage ? clock.elapsed() - outage.began : 0),
  }
  return watch
}
