import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import Table from 'cli-table3'
import { Command } from 'commander'
import type { Figure } from './figure.ts'
import { median } from './statistics.ts'

/**
 * `npm run bench:against -- CHECKOUT`: compares the speed of this checkout with another one, such
 * as a worktree of the commit before. Both are measured in turns, so that other work of the machine
 * affects both, and the compared figures are ratios to another server in the same run.
 */

interface Options {
  readonly runs: string
  readonly full?: boolean
  readonly only?: readonly string[]
}

/** Medians below this count as slower; smaller differences are noise of a busy machine. */
const LEAST = 0.95

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('bench:against')
    .description('Is this checkout slower than another one?')
    .argument('<checkout>', 'folder of the other one, with its packages installed')
    .option('--runs <n>', 'of each, by turns', '5')
    .option('--full', 'long rounds, about five minutes a run instead of one')
    .option('--only <names...>', 'figures, as npm run bench names them')
    .parse(argv, { from: 'user' })
  const { runs, full = false, only = [] } = program.opts<Options>()
  const other = resolve(program.args[0] ?? '')
  const args = [...(full ? [] : ['--quick']), ...(only.length > 0 ? ['--only', ...only] : [])]

  const pairs: Pair[] = []
  for (let run = 0; run < Number(runs); run += 1) {
    process.stderr.write(`run ${run + 1} of ${runs}\n`)
    // ABBA order, so that neither checkout is always second.
    const [first, second] = run % 2 === 0 ? [other, '.'] : ['.', other]
    const [a, b] = [await measure(first, args), await measure(second, args)]
    pairs.push(run % 2 === 0 ? { before: a, after: b } : { before: b, after: a })
  }
  process.stdout.write(`${render(pairs)}\n`)
}

async function measure(checkout: string, args: readonly string[]): Promise<readonly Figure[]> {
  const child = spawn(process.execPath, ['bench/main.ts', '--json', ...args], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, words, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve, reject) => child.once('error', reject).once('close', resolve)),
  ])
  if (code !== 0) throw new Error(`The bench of ${checkout} ended with ${code}:\n${words}`)
  return JSON.parse(output)
}

interface Pair {
  readonly before: readonly Figure[]
  readonly after: readonly Figure[]
}

function render(pairs: readonly Pair[]): string {
  const table = new Table({
    head: ['', 'before', 'now', 'now / before', 'spread', 'by processor time', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  })
  for (const figure of pairs[0]?.after ?? []) {
    const find = (figures: readonly Figure[]) =>
      figures.find(({ name, note }) => name === figure.name && note === figure.note)
    const both = pairs.flatMap(({ before, after }) => {
      const [a, b] = [find(before), find(after)]
      return a && b ? [{ a, b }] : []
    })
    if (both.length === 0) continue
    const ratios = both.map(({ a, b }) => betterBy(a, b))
    const costs = both.flatMap(({ a, b }) =>
      a.processorRatio && b.processorRatio ? b.processorRatio / a.processorRatio : [],
    )
    const show = (figures: readonly Figure[]) =>
      median(figures.map(({ value }) => value)).toFixed(2)
    table.push([
      `${figure.name}\n  ${figure.note}`,
      show(both.map(({ a }) => a)),
      show(both.map(({ b }) => b)),
      median(ratios).toFixed(2),
      `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
      costs.length === 0 ? '' : median(costs).toFixed(2),
      median(ratios) < LEAST ? 'LOWER' : '',
    ])
  }
  return table.toString()
}

/** Ratio above 1 if the second figure is better, for ratios (more is better) and for costs. */
function betterBy(before: Figure, after: Figure): number {
  return before.unit === 'ratio' ? after.value / before.value : before.value / after.value
}

await main(process.argv.slice(2))
