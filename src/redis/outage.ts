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
  /** It answered that it will not: other commands may work, as reading does where it is full. */
  refuse(reason: string): void
  /** Something worked. After a refusal that says little before REFUSAL_MEMORY is over. */
  end(): void
}

/** Seconds without another refusal, after which what works counts: it is not told at each command. */
export const REFUSAL_MEMORY = 10

/** Remembers since when Redis does not do what it should, and why. */
export function createOutageWatch({
  where,
  clock,
}: {
  readonly where: string
  readonly clock: Pick<Clock, 'now' | 'elapsed'>
}): OutageWatch {
  const listeners: ((status: RedisStatus) => void)[] = []
  /** `isRefusal`: the connection is there. */
  let outage: { since: number; reason: string; isRefusal: boolean } | undefined
  let refusedAt = -Infinity
  const wasRefused = () => clock.elapsed() - refusedAt < REFUSAL_MEMORY

  /** Where nobody sends commands any more, none succeeds either. */
  function forgive(): void {
    if (outage?.isRefusal && !wasRefused()) watch.end()
  }
  function start(reason: string | undefined, isRefusal: boolean): void {
    if (outage) {
      outage.reason = reason ?? outage.reason
      outage.isRefusal = isRefusal
      return
    }
    outage = { since: clock.now(), reason: reason ?? 'it does not answer', isRefusal }
    for (const listener of listeners) listener(watch)
  }

  const watch: OutageWatch = {
    get isReachable() {
      forgive()
      return outage === undefined
    },
    get detail() {
      forgive()
      if (!outage) return `${where} answers`
      return `${where} has not been usable since ${toRfc3339(outage.since)}: ${outage.reason}`
    },
    watch: (listener) => {
      listeners.push(listener)
    },
    begin: (reason) => {
      // What another connection was refused says little about the next one.
      refusedAt = -Infinity
      start(reason, false)
    },
    refuse: (reason) => {
      refusedAt = clock.elapsed()
      start(reason, true)
    },
    end: () => {
      if (!outage || wasRefused()) return
      outage = undefined
      for (const listener of listeners) listener(watch)
    },
  }
  return watch
}
