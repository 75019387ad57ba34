import type { Logger } from 'pino'
import type { Undo } from '../artifacts/artifact-store.ts'
import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'

/**
 * Codes and refresh tokens are used up before their request is answered. Where it then fails by a fault
 * of this server - a store that goes away, a key that is revoked at that moment - nobody was given
 * anything for them, and the client's retry would look like a thief's second use, which ends the grant
 * (RFC 9700, section 4.14.2). So the use is undone, as soon as the store lets it.
 */
export interface UsedUp {
  /** A request uses something up. */
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

  /** @returns must it wait for the store? */
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

  /** One at a time: a store that comes back has enough to do. */
  async function attemptAll(): Promise<void> {
    await clock.sleep(PAUSE, stopping.signal)
    while (!stopping.signal.aborted) {
      const first = waiting.shift()
      if (!first) break
      if (!(await attempt(first))) continue
      // To the end, as part of a Cluster may be away and the rest not.
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
  'what a failed request had used up could not be given back; its retry counts as a second use'
