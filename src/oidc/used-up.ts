import type { Logger } from 'pino'
import type { Undo } from '../artifacts/artifact-store.ts'
import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'

/**
 * Undoes the consumption of codes and refresh tokens whose request failed by a fault of this
 * server, such as an unavailable store or a key that was revoked at that moment. The client got no
 * tokens, and its retry would look like a thief's second use, which ends the grant (RFC 9700,
 * section 4.14.2). The undo happens as soon as the store is available.
 */
export interface UsedUp {
  /** Notes that a request has consumed a code or token. */
  note(request: object, undo: Undo): void
  /** Undoes what the request consumed, because it failed by a fault of this server. */
  giveBack(request: object): void
  /** Resolves when no undo is under way; undos that still wait for the store are lost. */
  stop(): Promise<void>
}

/** Seconds between two attempts while the store is unavailable. Clients are told to wait longer. */
const PAUSE = 0.25

/** Seconds after which the undo is given up, so that a retry ends the grant after all. */
export const LIMIT = 3600

interface Pending {
  readonly undo: Undo
  readonly until: number
}

export function createUsedUp(
  clock: Pick<Clock, 'elapsed' | 'sleep'>,
  log: Pick<Logger, 'warn' | 'error'>,
): UsedUp {
  const used = new WeakMap<object, readonly Undo[]>()
  const stopping = new AbortController()
  const firstAttempts = new Set<Promise<void>>()
  const waiting: Pending[] = []
  let working: Promise<void> | undefined

  /** @returns true if the store is unavailable and the undo has to be retried */
  async function attempt({ undo, until }: Pending): Promise<boolean> {
    try {
      await undo()
      return false
    } catch (error) {
      if (error instanceof StoreUnavailable && clock.elapsed() < until) return true
      log.error({ err: error }, LOST)
      return false
    }
  }

  async function attemptFirst(pending: Pending): Promise<void> {
    if (!(await attempt(pending))) return
    waiting.push(pending)
    working ??= attemptAll()
  }

  /** Retries one undo at a time, because a store that has just recovered is busy. */
  async function attemptAll(): Promise<void> {
    await clock.sleep(PAUSE, stopping.signal)
    while (!stopping.signal.aborted) {
      const first = waiting.shift()
      if (!first) break
      if (!(await attempt(first))) continue
      // At the end of the list, because only a part of a Redis Cluster may be unavailable.
      waiting.push(first)
      await clock.sleep(PAUSE, stopping.signal)
    }
    working = undefined
  }

  return {
    note: (request, undo) => used.set(request, [...(used.get(request) ?? []), undo]),
    giveBack: (request) => {
      const until = clock.elapsed() + LIMIT
      const undos = used.get(request) ?? []
      used.delete(request)
      for (const undo of undos) {
        const attempted = attemptFirst({ undo, until })
        firstAttempts.add(attempted)
        void attempted.then(() => firstAttempts.delete(attempted))
      }
    },
    stop: async () => {
      stopping.abort()
      await Promise.all(firstAttempts)
      await working
      if (waiting.length > 0) log.warn({ uses: waiting.length }, LOST)
    },
  }
}

const LOST =
  'could not restore the code or refresh token consumed by a failed request; a retry will be treated as reuse'
