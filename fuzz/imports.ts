import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { Command, InvalidArgumentError } from 'commander'
import { withoutVectors } from '../lab/vectors.ts'
import { fuzzImports } from './import-fuzz.ts'
import { importTargets } from './import-targets.ts'

/**
 * `npm run fuzz:imports`: changed files of other systems against the importers. A seed that found
 * something finds it again. Key rings of ASP.NET Core have `npm run fuzz:key-rings`.
 *
 * The script bounds the heap and makes malloc give large blocks back at once, because the memory of
 * the process is to show what importers need, not what V8 and malloc keep for later.
 */

const MEMORY_MAX = 256 * 2 ** 20
/** Milliseconds for each megabyte of an input, on a machine that does other work besides. */
const PATIENCE = 10_000
/** Milliseconds for a hundred. */
const STANDSTILL = 600_000

function number(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('It must be a whole number.')
  return value
}

const program = new Command('fuzz:imports')
  .description('Changed files of other systems against the importers')
  .option('--count <number>', 'how many inputs', number, 1_000_000)
  .option('--seed <number>', 'the same seed makes the same inputs', number, randomInt(2 ** 31))
  .option('--only <words>', 'targets whose name has these words')
  .option('--keep <directory>', 'write inputs that failed there')
  .parse()
const { count, seed, only, keep } = program.opts<{
  count: number
  seed: number
  only?: string
  keep?: string
}>()
if (withoutVectors) program.error(withoutVectors)
const targets = (await importTargets()).filter(({ name }) => name.includes(only ?? ''))
if (targets.length === 0) program.error(`There is no target ${only}.`)

const done = new Int32Array(new SharedArrayBuffer(4))
const watchdog = new Worker(new URL('./watchdog.ts', import.meta.url), {
  workerData: { done, patience: STANDSTILL },
})
watchdog.unref()
process.stdout.write(`seed ${seed}\n`)
const begun = performance.now()
const { codes, failures, heap, rss, slowest } = await fuzzImports({
  ...{ targets, inputs: count, seed, patience: PATIENCE },
  onProgress: (at) => {
    Atomics.store(done, 0, at)
    if (at % 1000 === 0) process.stderr.write(`\r${at} `)
  },
})
const { rss: after } = process.memoryUsage()
const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0)
const seconds = (performance.now() - begun) / 1000
const lines = [
  `${count} inputs in ${seconds.toFixed(0)} s, seed ${seed}`,
  `heap at most ${megabytes(heap)} MiB, memory (RSS) at most ${megabytes(rss)} MiB, ${megabytes(after)} MiB after`,
  `the slowest input took ${slowest.milliseconds.toFixed(0)} ms (${slowest.file})`,
  ...Object.entries(codes).map(([name, counts]) => {
    const all = Object.entries(counts).sort(([, a], [, b]) => b - a)
    return `${name}\n  ${all.map(([code, times]) => `${code}: ${times}`).join(', ')}`
  }),
  ...failures.map(({ what, file }, at) => `\n--- ${at} ${file}\n${what}`),
]
process.stdout.write(`\n${lines.join('\n')}\n`)
for (const [at, { bytes }] of failures.entries())
  if (keep !== undefined) writeFileSync(`${keep}/failure-${at}`, bytes)
process.exitCode = failures.length === 0 && rss < MEMORY_MAX ? 0 : 1
await watchdog.terminate()
