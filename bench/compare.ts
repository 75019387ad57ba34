import type { Child } from './child.ts'
import type { Aim, Bench, Figure, Stores } from './figure.ts'
import { isMet } from './figure.ts'
import { type LoadResult, type Prepare, runLoad } from './load.ts'
import type { ProfileSummary } from './profile.ts'
import { median } from './statistics.ts'
import type { Usage } from './usage.ts'

export interface Comparison {
  readonly name: string
  readonly note: string
  readonly aim?: Aim
  readonly other: 'plain' | 'koa'
  readonly prepare: Prepare
  /** Keyturn's stores; SQLite by default. The other side keeps everything in memory. */
  readonly stores?: Stores
  /**
   * `rate`: operations per second. `main-thread`: operations per second of processor time of the
   * answering thread, for comparisons in which other threads do not count.
   */
  readonly by?: 'rate' | 'main-thread'
}

export interface Round extends LoadResult {
  /** Milliseconds of processor time per operation. */
  readonly cost: Usage
}

/**
 * Milliseconds of load before anything is counted, in both modes: until then most of the time goes
 * into compiling, which says how much code there is, not how fast it is.
 */
export const WARM_UP = 4000
/** Milliseconds of load. */
const ROUND = { full: 2000, quick: 600 }
const ROUNDS = { full: 5, quick: 3 }

/**
 * Measures Keyturn and the other side in turns, so that other work of the machine affects both; the
 * ratio is the median of the ratios of neighbouring rounds.
 */
export async function compare(bench: Bench, comparison: Comparison): Promise<Figure> {
  const { note, aim, by = 'rate', stores = 'SQLite' } = comparison
  const name = stores === 'SQLite' ? comparison.name : `${comparison.name}, ${stores}`
  const mode = bench.isQuick ? 'quick' : 'full'
  const ours = await bench.server('keyturn', stores)
  const theirs = await bench.server(comparison.other)
  const run = (child: Child, duration = ROUND[mode]) =>
    runRound(child, comparison.prepare, duration)

  bench.say(`${name} ...`)
  await run(ours, WARM_UP)
  await run(theirs, WARM_UP)
  const pairs: { ours: Round; theirs: Round }[] = []
  for (let round = 0; round < ROUNDS[mode]; round += 1) {
    // ABBA order, so that neither side is always second.
    const first = round % 2 === 0 ? await run(ours) : await run(theirs)
    const second = round % 2 === 0 ? await run(theirs) : await run(ours)
    const [a, b] = round % 2 === 0 ? [first, second] : [second, first]
    pairs.push({ ours: a, theirs: b })
  }

  const rate = by === 'rate' ? (r: Round) => r.rate : (r: Round) => 1000 / r.cost.main
  const unit = by === 'rate' ? '/s' : '/s of main thread'
  const figure: Figure = {
    name,
    note,
    keyturn: `${round(median(pairs.map((pair) => rate(pair.ours))))}${unit}`,
    beside: `${round(median(pairs.map((pair) => rate(pair.theirs))))}${unit}`,
    value: median(pairs.map((pair) => rate(pair.ours) / rate(pair.theirs))),
    unit: 'ratio',
    ...(aim ? { aim } : {}),
    processorRatio: median(pairs.map((pair) => pair.theirs.cost.process / pair.ours.cost.process)),
  }
  if (isMet(figure) !== false) return figure
  const profiles = {
    Keyturn: await profile(ours, comparison.prepare, ROUND[mode]),
    [comparison.other]: await profile(theirs, comparison.prepare, ROUND[mode]),
  }
  return { ...figure, profiles }
}

/** Puts a server under load once. */
export async function runRound(child: Child, prepare: Prepare, duration: number): Promise<Round> {
  let before: Usage = { process: 0, main: 0 }
  let after = before
  const around = {
    begin: async () => {
      before = await child.call<Usage>('usage')
    },
    end: async () => {
      after = await child.call<Usage>('usage')
    },
  }
  const result = await runLoad({ port: child.port, prepare, duration, around })
  const cost = {
    process: (after.process - before.process) / result.operations,
    main: (after.main - before.main) / result.operations,
  }
  return { ...result, cost }
}

async function profile(child: Child, prepare: Prepare, duration: number): Promise<ProfileSummary> {
  let summary: ProfileSummary = { parts: [], functions: [] }
  const around = {
    begin: () => child.call<void>('start-profile'),
    end: async () => {
      summary = await child.call<ProfileSummary>('stop-profile')
    },
  }
  await runLoad({ port: child.port, prepare, duration, around })
  return summary
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
