import type { Clock } from '../clock.ts'
import {
  ClockWrong,
  KekMissing,
  KeyturnError,
  RingStale,
  SealBroken,
  StoreUnreadable,
} from '../errors.ts'
import type { DatabaseClock } from './database-clock.ts'
import { type RingView, ringView } from './jwks.ts'
import { keyEvent } from './key.ts'
import type { KeyStore } from './key-store.ts'
import { eraseAt, type RingFacts, wouldOutlive } from './lifecycle.ts'
import type { Action } from './plan.ts'
import type { RotationPolicies } from './policy.ts'
import { loadRings, type OpenedKeys, turnRings } from './rotate.ts'
import type { RingKey, Sealer } from './seal.ts'

/**
 * The loop that turns the rings: load, plan, apply, publish, sleep until the next change. Requests
 * never make keys.
 */
export interface Scheduler {
  /** Loads, plans, applies and publishes once. @throws what the store or a seal throws */
  runOnce(): Promise<RingView>
  /** Turns until stopped; a failure is reported and tried again. */
  start(): void
  /** Cuts the sleep short: something happened that the ring should see now. */
  wake(): void
  /**
   * A token of ours names a key that this node does not know: another node may have loaded it
   * already. Turns once, at most once a second. Never rejects.
   */
  lookFor(kid: string): Promise<void>
  /**
   * Asked at the very signature: a request that began long ago must not sign with a key that was
   * revoked, or has been retired for longer than twice the skew, since. A token that would outlive
   * the publication of its key is recorded first, so that the key stays.
   * @param expiresAt `exp` of what is signed; undefined where it has none
   * @throws RingStale; what the store throws
   */
  authorize(kid: string, expiresAt: number | undefined): Promise<void> | undefined
  stop(): Promise<void>
  readonly status: SchedulerStatus
}

export interface SchedulerStatus {
  /** Seconds since the ring was last loaded; Infinity before the first time. */
  ringAge(): number
  /** Why this node may neither sign nor serve the JWKS, in words; undefined while it may. */
  obstacle(): string | undefined
  /** Neither revoked nor retired for longer than twice the skew, on a node that may sign? */
  maySign(kid: string): boolean
  readonly view: RingView | undefined
  /** Why the last turn failed; undefined after one that succeeded. */
  readonly failure: Error | undefined
  /** Turns that failed since the last one that succeeded. */
  readonly failures: number
  readonly warnings: readonly string[]
}

export interface SchedulerOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly policies: RotationPolicies
  readonly clock: Clock
  readonly databaseClock: DatabaseClock
  /** Seconds between loads while nothing is due; shortened at random by up to 20 %. */
  readonly refreshInterval: number
  /** Seconds after which a ring that could not be loaded is too old to sign with. */
  readonly maxRingAge: number
  /** Largest believable step of the wall clock between two turns, in seconds. */
  readonly clockSkew: number
  /** Called with every view that differs from the one before, before the turn ends. */
  readonly onView: (view: RingView) => void | Promise<void>
  /** Called after every turn, be it done or failed. Never throws. */
  readonly afterTurn?: () => void
  readonly log: SchedulerLog
}

export interface SchedulerLog {
  info(data: object, message: string): void
  warn(data: object, message: string): void
  error(data: object, message: string): void
}

/** First wait after a failure, in seconds; doubles up to the refresh interval. */
const FIRST_RETRY = 1

/** Seconds between two turns that requests cause: anybody can invent a kid. */
const LOOK_PAUSE = 1

/** An expiry is recorded for so many seconds more, so that the tokens that follow need no record. */
const EXPIRY_STEP = 600

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { store, sealer, policies, clock, databaseClock, log } = options
  const opened: OpenedKeys = new Map()
  const turns = clockWatch(options)

  let view: RingView | undefined
  let loadedAt = -Infinity
  let loadedAtWall = -Infinity
  let failure: Error | undefined
  let failures = 0
  let warnings: readonly string[] = []
  let running: Promise<RingView> | undefined
  let loop: Promise<void> | undefined
  let lookedAt = -Infinity
  /** Until when keys are recorded to be needed, by kid. */
  const recorded = new Map<string, number>()
  const stopping = new AbortController()
  let sleeping = new AbortController()

  async function turn(): Promise<RingView> {
    const { now, mayDestroy } = turns.begin()
    // Read before the load: a ring is as old as the moment the store was asked for it.
    const startedAt = clock.elapsed()
    const [loaded] = await Promise.all([load(now), databaseClock.compare()])
    if (!databaseClock.isRight()) throw new ClockWrong(databaseClock.offset() ?? 0)
    const { facts, warnings } = await turnRings(loaded, {
      store,
      sealer,
      policies,
      opened,
      now,
      mayDo: (action) => mayDestroy || !isDestructive(action),
      onDone: (action) =>
        log.info(describe(action), `ring ${action.ring}: ${action.type}, as ${action.reason}`),
    })
    report(warnings)

    const next = ringView(facts, policies, now)
    await show(next)
    loadedAt = startedAt
    loadedAtWall = now
    return next
  }

  /**
   * Loads the rings. A key that does not open, or a store that was emptied, must not hide the news
   * of a revocation: the keys at hand follow the events that can be read, and the turn fails.
   */
  async function load(now: number): Promise<RingFacts<RingKey>> {
    try {
      const facts = await loadRings(store, sealer, opened)
      if (view && view.states.length > 0 && facts.keys.length === 0) {
        throw new StoreUnreadable(
          'The key store was emptied while the server ran: is its directory or database still ' +
            'there? Nothing is made in its place, and the keys in use stay in use.',
        )
      }
      return facts
    } catch (error) {
      if (view && (error instanceof SealBroken || error instanceof KekMissing)) {
        const { events } = await store.load()
        const keys = view.states.map((state) => state.key)
        await show(ringView({ keys, events }, policies, now))
      }
      throw error
    }
  }

  async function show(next: RingView): Promise<void> {
    if (next.hash !== view?.hash) {
      await options.onView(next)
      for (const turned of view ? turnsBetween(view, next) : []) log.info(...turned)
    }
    view = next
  }

  function report(found: readonly string[]): void {
    const fresh = found.filter((warning) => !warnings.includes(warning))
    for (const warning of fresh) log.warn({}, warning)
    warnings = found
  }

  async function runOnce(): Promise<RingView> {
    // Two turns at once would plan the same thing twice.
    running ??= turn().finally(() => {
      running = undefined
      options.afterTurn?.()
    })
    return running
  }

  async function runUntilStopped(): Promise<void> {
    while (!stopping.signal.aborted) {
      // Made before the turn, so that a wake-up that comes during it is not lost.
      sleeping = new AbortController()
      try {
        await runOnce()
        if (failures > 0) log.info({ failures }, 'the key ring can be loaded again')
        failure = undefined
        failures = 0
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error))
        failures += 1
        const code = error instanceof KeyturnError ? error.code : undefined
        const data = { code, err: failure, failures, ringAge: Math.round(status.ringAge()) }
        log.error(data, 'the key ring could not be turned; the keys in use stay in use')
      }
      await clock.sleep(pause(), AbortSignal.any([sleeping.signal, stopping.signal]))
    }
  }

  /** Seconds to sleep: until the next change or the next refresh; after a failure, a short back-off. */
  function pause(): number {
    const interval = options.refreshInterval * (1 - Math.random() * 0.2)
    if (failures > 0) return Math.min(interval, FIRST_RETRY * 2 ** Math.min(failures - 1, 10))
    const dueIn = (view?.nextChangeAt ?? Infinity) - clock.now()
    return Math.max(0, Math.min(interval, dueIn))
  }

  const status: SchedulerStatus = {
    ringAge: () => clock.elapsed() - loadedAt,
    obstacle: () => {
      if (!databaseClock.isRight()) return new ClockWrong(databaseClock.offset() ?? 0).message
      // By both clocks: one stands still while the machine sleeps, the other can be set.
      const age = Math.max(status.ringAge(), clock.now() - loadedAtWall)
      if (age <= options.maxRingAge) return undefined
      if (!Number.isFinite(age)) return 'The key ring was never loaded.'
      return `The key ring was loaded ${Math.round(age)} s ago, longer than maxRingAge.`
    },
    maySign: (kid) => {
      const state = view?.states.find((candidate) => candidate.key.kid === kid)
      if (!state || status.obstacle() !== undefined) return false
      const endsAt = eraseAt(state, policies.policyFor(state.key.ring))
      return state.revokedAt === null && (endsAt === null || clock.now() < endsAt)
    },
    get view() {
      return view
    },
    get failure() {
      return failure
    },
    get failures() {
      return failures
    },
    get warnings() {
      return warnings
    },
  }

  function authorize(kid: string, expiresAt: number | undefined): Promise<void> | undefined {
    if (!status.maySign(kid)) {
      // A clock that was set, or a ring that should have turned: the sooner it does, the better.
      if (mayLook()) sleeping.abort()
      const why = status.obstacle() ?? 'It was revoked or has retired.'
      throw new RingStale(`Key ${kid} may not sign: ${why}`)
    }
    const state = view?.states.find((candidate) => candidate.key.kid === kid)
    if (!state || expiresAt === undefined) return undefined
    const { ring } = state.key
    const now = databaseClock.now()
    if (!wouldOutlive(state, policies.policyFor(ring), { expiresAt, now })) return undefined
    return recordExpiry(ring, kid, expiresAt)
  }

  async function recordExpiry(ring: string, kid: string, expiresAt: number): Promise<void> {
    if ((recorded.get(kid) ?? 0) >= expiresAt) return
    const validUntil = Math.ceil(expiresAt / EXPIRY_STEP) * EXPIRY_STEP
    const reason = 'it signed a token that outlives its retention'
    const event = { type: 'valid-until', ring, kid, validUntil, reason } as const
    await store.addEvents([keyEvent({ ...event, at: databaseClock.now(), actor: 'keyturn' })])
    log.warn({ ring, kid, validUntil }, `ring ${ring}: a key stays published longer, as ${reason}`)
    recorded.set(kid, validUntil)
    sleeping.abort()
  }

  function mayLook(): boolean {
    if (clock.elapsed() - lookedAt < LOOK_PAUSE) return false
    lookedAt = clock.elapsed()
    return true
  }

  async function lookFor(kid: string): Promise<void> {
    if (view?.states.some((state) => state.key.kid === kid)) return
    if (mayLook()) await runOnce().catch(() => {})
  }

  return {
    runOnce,
    lookFor,
    authorize,
    start: () => {
      loop ??= runUntilStopped()
    },
    wake: () => sleeping.abort(),
    stop: async () => {
      stopping.abort()
      await loop
    },
    status,
  }
}

/**
 * Compares wall-clock time with time that cannot be set. A clock set back needs no care: phases
 * follow it, and a key whose private half is gone is not asked to sign again (`lifecycle.ts`).
 * After a jump forward, and after a start, which may be under a wrong clock as well, nothing is
 * destroyed until `maxRingAge` has passed, in case somebody sets the clock right again.
 */
function clockWatch({ clock, clockSkew, maxRingAge, log }: SchedulerOptions) {
  let last: { now: number; elapsed: number } | undefined
  let mayDestroyFrom = clock.elapsed() + maxRingAge

  return {
    begin(): { now: number; mayDestroy: boolean } {
      const now = clock.now()
      const elapsed = clock.elapsed()
      const jump = last ? now - last.now - (elapsed - last.elapsed) : 0
      last = { now, elapsed }
      if (Math.abs(jump) > clockSkew) {
        const seconds = Math.round(jump)
        log.warn({ jump: seconds }, `the system clock was moved by ${seconds} s`)
        if (jump > 0) mayDestroyFrom = elapsed + maxRingAge
      }
      return { now, mayDestroy: elapsed >= mayDestroyFrom }
    },
  }
}

/** What became of keys since the view before, for the log: the one place that tells of a switch. */
function turnsBetween(before: RingView, after: RingView): readonly [object, string][] {
  const phases = new Map(before.states.map(({ key, phase }) => [key.kid, phase]))
  return after.states
    .filter(({ key, phase }) => phases.has(key.kid) && phases.get(key.kid) !== phase)
    .map(({ key: { ring, generation, kid }, phase }) => [
      { ring, generation, kid, phase },
      `ring ${ring}: generation ${generation} is ${phase}${phase === 'active' ? ' and signs now' : ''}`,
    ])
}

function isDestructive(action: Action): boolean {
  return action.type === 'erase' || action.type === 'delete'
}

function describe(action: Action): object {
  const { type, ring } = action
  if (type === 'create') return { action: type, ring, generation: action.generation }
  if (type === 'record') return { action: action.event.type, ring, event: action.event.id }
  return { action: type, ring, kid: action.kid }
}
