import type { Clock } from '../clock.ts'
import type { Undo } from '../store/artifact-store.ts'

/**
 * Codes and refresh tokens are used up before their request is answered. Where it then fails by a fault
 * of this server - a store that goes away, a key that is revoked at that moment - nobody was given
 * anything for them, and the client's retry would look like a thief's second use, which ends the grant
 * (RFC 9700, section 4.14.2). So the use is undone, as soon as the store lets it.
 */
export interface UsedUp {
  /** A request has used something up. */
  note(request: object, undo: Undo): void
  /** The request failed by a fault of this server: what it used up can be used again. */
  giveBack(request: object): void
  /** Resolves when nothing is under way; what still waits is lost. */
  stop(): Promise<void>
}

/** Seconds between two attempts while the store is away. Clients are told to wait longer. */
const PAUSE = 0.25

/** Seconds after which an outage ends these grants after all. */
export const LIMIT = 3600

export function createUsedUp(clock: Pick<Clock, 'elapsed' | 'sleep'>): UsedUp {
  const used = new WeakMap<object, readonly Undo[]>()
  const stopping = new AbortController()
  let waiting: readonly { readonly undo: Undo; readonly until: number }[] = []
  let working: Promise<void> | undefined

  /** One at a time: a store that comes back has enough to do. */
  async function undoAll(): Promise<void> {
    for (;;) {
      const [first, ...rest] = waiting
      if (!first || stopping.signal.aborted) return
      waiting = rest
      try {
        await first.undo()
      } catch {
        // To the end, as part of a Cluster may be away and the rest not.
        if (clock.elapsed() < first.until) waiting = [...waiting, first]
        await clock.sleep(PAUSE, stopping.signal)
      }
    }
  }

  return {
    note: (request, undo) => used.set(request, [...(used.get(request) ?? []), undo]),
    giveBack: (request) => {
      const until = clock.elapsed() + LIMIT
      const undos = used.get(request) ?? []
      used.delete(request)
      if (undos.length === 0) return
      waiting = [...waiting, ...undos.map((undo) => ({ undo, until }))]
      working ??= undoAll().finally(() => {
        working = undefined
      })
    },
    stop: async () => {
      stopping.abort()
      await working
    },
  }
}
