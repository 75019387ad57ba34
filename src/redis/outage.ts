import { type Clock, toRfc3339 } from '../clock.ts'

/** State of Redis, for readiness and metrics. */
export interface RedisStatus {
  readonly isReachable: boolean
  /** Description in words: which Redis, and if it is unusable, since when and why. */
  readonly detail: string
  /** Calls the listener with each change. */
  watch(listener: (status: RedisStatus) => void): void
}

export interface OutageWatch extends RedisStatus {
  /**
   * Notes a failure; the first of several failures in a row is the beginning of the outage.
   * @param reason reason, if known; otherwise the earlier reason stays
   */
  begin(reason?: string): void
  /**
   * Notes that Redis refused a command. Other commands may work: a full Redis can still be read.
   */
  refuse(reason: string): void
  /**
   * Notes a success. Ignored for REFUSAL_MEMORY seconds after a refusal, because other commands may
   * still be refused.
   */
  end(): void
}

/**
 * Seconds without another refusal after which a success ends the outage, so that it is not reported
 * at each command.
 */
export const REFUSAL_MEMORY = 10

/** Remembers since when Redis is unusable, and why. */
export function createOutageWatch({
  where,
  clock,
}: {
  readonly where: string
  readonly clock: Pick<Clock, 'now' | 'elapsed'>
}): OutageWatch {
  const listeners: ((status: RedisStatus) => void)[] = []
  /** The current outage; `isRefusal` means that Redis answers but refuses commands. */
  let outage: { since: number; reason: string; isRefusal: boolean } | undefined
  let refusedAt = -Infinity
  const wasRefused = () => clock.elapsed() - refusedAt < REFUSAL_MEMORY

  /** Ends an old refusal, because without further commands no success could end it. */
  function endOldRefusal(): void {
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
      endOldRefusal()
      return outage === undefined
    },
    get detail() {
      endOldRefusal()
      if (!outage) return `${where} answers`
      return `${where} has not been usable since ${toRfc3339(outage.since)}: ${outage.reason}`
    },
    watch: (listener) => {
      listeners.push(listener)
    },
    begin: (reason) => {
      // A refusal on the lost connection does not count for the next one.
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
