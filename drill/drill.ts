import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { takeTurns } from './calm.ts'
import type { ClusterKind } from './clusters.ts'
import { FAULTS, type Fault, type Site } from './faults.ts'
import { createJournal, type Journal } from './journal.ts'
import { createRandom } from './random.ts'
import type { Report } from './report.ts'
import { type Sabotage, TOKEN_LIFETIME } from './settings.ts'
import { type Stage, setStage } from './stage.ts'
import { watchStalls } from './stalls.ts'

export type Database = 'sqlite' | 'postgres' | 'mariadb' | ClusterKind

export interface DrillOptions {
  readonly seed: number
  readonly nodes: number
  readonly database: Database
  readonly hasRedis: boolean
  /** Aims: the drill goes on until all of them are reached. */
  readonly rotations: number
  readonly tokens: number
  /** Number of faults of each kind. */
  readonly faults: number
  /** Only these faults, by name; all that make sense if empty. */
  readonly only?: readonly string[]
  /** Number of sign-ins before the faults, one after another, each request at another node. */
  readonly calm?: number
  /** Operations of clients a second. */
  readonly rate: number
  /** The drill ends, even if an aim is not reached. */
  readonly minutes: number
  readonly isShort: boolean
  /** Break a bound, and end at the first violation. */
  readonly sabotage: Sabotage | undefined
  /** Folder for logs of the nodes; undefined drops them. */
  readonly logs: string | undefined
  /** Called with each line about the progress. */
  readonly say: (line: string) => void
  /** Ends the drill early. */
  readonly signal: AbortSignal
}

/** Runs a drill to its report; leaves nothing behind, however it ends. */
export async function runDrill(options: DrillOptions): Promise<Report> {
  const { seed, sabotage, signal, isShort } = options
  await using stack = new AsyncDisposableStack()
  if (options.logs) mkdirSync(options.logs, { recursive: true })
  const startedAt = Date.now()
  const seconds = () => ((Date.now() - startedAt) / 1000).toFixed(1)
  const note = (line: string) => {
    const file = options.logs && join(options.logs, 'drill.log')
    if (file) appendFileSync(file, `${new Date().toISOString()}  ${seconds()} s  ${line}\n`)
  }
  const say = (line: string) => {
    options.say(`${seconds()} s  ${line}`)
    note(line)
  }
  // The drill is over because somebody interrupted it or the sabotage was noticed.
  const halting = new AbortController()
  const halt = halting.signal
  signal.addEventListener('abort', () => halting.abort(), { once: true })
  const journal = createJournal({
    // Requests may fail while everything is stopped.
    isOver: () => halt.aborted,
    onViolation: ({ rule, detail }) => {
      say(`VIOLATION  ${rule}: ${detail}`)
      if (sabotage) halting.abort()
    },
  })
  stack.defer(watchStalls(journal.stalled))

  say('starting services and nodes ...')
  const stage = await setStage(stack, { drill: options, journal, note, halt })
  const { load, watch, fleet } = stage
  const wait = (milliseconds: number) => waitFor(milliseconds, halt)
  const site: Site = { ...stage, journal, wait, isShort, random: createRandom(seed, 'faults') }
  const rotations = () => sum(watch.signed.values(), (kids) => kids.size - 1)
  const tokens = () => sum(load.issued, ([kind, count]) => (kind.includes('token') ? count : 0))
  const { only = [] } = options
  const faults = FAULTS.filter(
    (fault) => fault.isPossible(site) && (only.length === 0 || only.includes(fault.name)),
  )
  const isEnough = (fault: Fault) => (journal.faults.get(fault.name) ?? 0) >= options.faults
  const isReached = () =>
    rotations() >= options.rotations && tokens() >= options.tokens && faults.every(isEnough)
  const deadline = startedAt + options.minutes * 60_000
  const isOver = () => halt.aborted || Date.now() > deadline || isReached()

  if (options.calm) {
    say(`${options.calm} sign-ins, each request at another node`)
    await takeTurns({ count: options.calm, issuer: stage.balancer.url, journal, halt, load })
  }
  load.start()
  const loadStartedAt = Date.now()
  if (sabotage) await sabotageStory(sabotage, site)
  while (!isOver()) {
    for (const fault of site.random.shuffle(faults)) {
      if (isOver()) break
      if (isShort && isEnough(fault)) continue
      say(`${fault.name}  (${rotations()} rotations, ${tokens()} tokens)`)
      await fault.inject(site)
      journal.fault(fault.name)
      await wait(isShort ? 200 : 1000)
    }
    if (isShort) await wait(200)
  }
  const wasReached = isReached()
  await load.stop()
  const loadTime = (Date.now() - loadStartedAt) / 1000
  if (!halt.aborted) {
    // Wait until all valid tokens have been verified to their end.
    await wait(TOKEN_LIFETIME * 1000)
    await watch.finish()
    if (!wasReached) {
      journal.violation('drill', `the aims were not reached in ${options.minutes} minutes`)
    }
  }
  await fleet.stop()
  return {
    ...{ seed, nodes: options.nodes, database: options.database, hasRedis: options.hasRedis },
    ...{ sabotage: sabotage ?? null, wasInterrupted: signal.aborted },
    duration: (Date.now() - startedAt) / 1000,
    tokenRate: tokens() / loadTime,
    rotations: rotations(),
    tokens: tokens(),
    ...results(stage, journal, startedAt),
  }
}

/** Collects the counts of all parts of the drill. */
function results(stage: Stage, journal: Journal, startedAt: number) {
  const { watch, load, fleet, balancer, operator, refusals } = stage
  const made = (ring: string) =>
    [...watch.made.keys()].filter((place) => place.startsWith(`${ring} `)).length
  return {
    faults: Object.fromEntries(journal.faults),
    times: Object.fromEntries(journal.times),
    keys: Object.fromEntries(
      [...watch.signed].map(([ring, kids]) => [ring, { made: made(ring), used: kids.size }]),
    ),
    operations: Object.fromEntries(load.issued),
    relyingParties: fleet.tallies,
    refusals: [...refusals.values()],
    lost: Object.fromEntries(journal.lostTo),
    retried: balancer.retried(),
    served: Object.fromEntries(balancer.served),
    emergencies: operator.emergencies,
    stalledFor: journal.stalledFor(),
    violations: journal.violations.map(({ rule, detail, at }) => ({
      ...{ rule, detail },
      after: (at - startedAt) / 1000,
    })),
  } satisfies Partial<Report>
}

/** Milliseconds in which every ring has rotated. */
const SABOTAGE_LIMIT = 45_000

/** Causes the situation in which a broken bound becomes visible. */
async function sabotageStory(sabotage: Sabotage, { nodes, journal, wait }: Site): Promise<void> {
  const [first] = nodes
  if (sabotage === 'ring-age' && first?.database) {
    // A node that never loads new keys and still signs.
    await wait(2000)
    journal.excuse({ cause: 'cut-off node', node: first.name })
    first.database.cut()
    first.redis?.cut()
  }
  await wait(SABOTAGE_LIMIT)
  journal.violation('drill', `it did not notice the sabotage of ${sabotage}`)
}

/** Resolves after the time, or as soon as the signal is aborted. */
function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return delay(milliseconds, undefined, { signal }).catch(() => {})
}

function sum<T>(items: Iterable<T>, value: (item: T) => number): number {
  return [...items].reduce((total, item) => total + value(item), 0)
}
