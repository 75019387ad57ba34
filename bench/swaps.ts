import { setTimeout as delay } from 'node:timers/promises'
import type { Child } from './child.ts'
import type { Bench, Figure, Measure } from './figure.ts'
import { runLoad } from './load.ts'
import { RESOURCES } from './setting.ts'
import { median, quantile } from './statistics.ts'
import { clientCredentials } from './tokens.ts'

/** Swaps in all, spread over blocks that alternate with blocks of the same length without any. */
const SWAPS = { full: 200, quick: 100 }
const BLOCKS = { full: 10, quick: 5 }
/** Milliseconds from one swap to the next. */
const PAUSE = 100

/**
 * Latency of token requests (client credentials, ES256) while the provider is swapped ten times a
 * second, compared with the latency without swaps. A swap here is everything that a rotation costs
 * the running server except making the key: load, open, plan, build, publish.
 */
export const latencyDuringSwaps: Measure = async (bench) => {
  bench.say('latency during swaps ...')
  const mode = bench.isQuick ? 'quick' : 'full'
  const child = await bench.server('keyturn')
  const duration = (SWAPS[mode] / BLOCKS[mode]) * PAUSE
  const prepare = clientCredentials({ resource: RESOURCES.ES256 })
  const run = () => runLoad({ port: child.port, prepare, duration })

  await run()
  const quiet: number[] = []
  const swapping: number[] = []
  const turns: number[] = []
  for (let block = 0; block < BLOCKS[mode]; block += 1) {
    quiet.push(...(await run()).latencies)
    const [result, times] = await Promise.all([run(), turnFor(child, duration)])
    swapping.push(...result.latencies)
    turns.push(...times)
  }

  const without = quantile(quiet, 0.99)
  const during = quantile(swapping, 0.99)
  return [
    {
      name: 'p99 of token requests during swaps',
      note: `${turns.length} swaps, one each ${PAUSE} ms; beside the same server without`,
      keyturn: `${during.toFixed(2)} ms`,
      beside: `${without.toFixed(2)} ms`,
      value: during / without,
      unit: 'ratio',
      aim: { bound: 'most', value: 1.1 },
    },
    {
      name: 'whole turn of the ring under load',
      note: 'load, plan, build, publish; median, and p95 beside it',
      keyturn: `${median(turns).toFixed(2)} ms`,
      beside: `${quantile(turns, 0.95).toFixed(2)} ms`,
      value: median(turns),
      unit: 'ms',
    },
  ]
}

async function turnFor(child: Child, duration: number): Promise<readonly number[]> {
  const times: number[] = []
  const startedAt = performance.now()
  while (performance.now() - startedAt + PAUSE <= duration + PAUSE / 2) {
    times.push(await child.call<number>('turn'))
    const next = startedAt + times.length * PAUSE
    await delay(Math.max(0, next - performance.now()))
  }
  return times
}

const COUNT = 300

/**
 * Measures the swap alone: building a provider for a view and replacing the old one, in a warm
 * process.
 */
export const swapTime: Measure = async (bench) => [
  await swapTimeWith(bench, 0),
  await swapTimeWith(bench, 10_000),
]

async function swapTimeWith(bench: Bench, clients: number): Promise<Figure> {
  bench.say(`swap with ${clients} clients ...`)
  await using child = await bench.freshKeyturn({ clients })
  const times = await child.call<readonly number[]>('swaps', COUNT)
  return {
    name: `swap, ${clients} clients`,
    note: `median of ${COUNT} on a warm process; p95 beside it`,
    keyturn: `${median(times).toFixed(2)} ms`,
    beside: `${quantile(times, 0.95).toFixed(2)} ms`,
    value: median(times),
    unit: 'ms',
    aim: { bound: 'most', value: 1 },
  }
}
