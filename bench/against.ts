import Table from 'cli-table3'
import { Command } from 'commander'
import { type Measured, measureBeside, OPERATIONS } from './side-by-side.ts'
import { median } from './statistics.ts'

/**
 * `npm run bench:against -- CHECKOUT...`: is this checkout slower than another one, such as a
 * worktree of the commit before? `side-by-side.ts` measures. Single runs of equal code differ by up
 * to a fifth where a database works beside the server, so for these a median of 5 may be off by 5
 * percent, and one of 15 by 3.
 */

interface Options {
  readonly runs: string
  readonly only: readonly string[]
}

/** Medians below this count as slower; smaller differences are noise of a busy machine. */
const LEAST = 0.95

async function main(argv: readonly string[]): Promise<void> {
  const names = Object.keys(OPERATIONS)
  const program = new Command('bench:against')
    .description('Is this checkout slower than another one?')
    .argument('<checkouts...>', 'folders of others, with their packages installed')
    .option('--runs <n>', 'each with new servers; about 3.5 minutes a run for one checkout', '5')
    .option('--only <names...>', `some of: ${names.join(', ')}`, names)
    .parse(argv, { from: 'user' })
  const { runs, only } = program.opts<Options>()
  const unknown = only.filter((name) => !names.includes(name))
  if (unknown.length > 0) program.error(`no such operation: ${unknown.join(', ')}`)
  const say = (text: string) => process.stderr.write(`${text}\n`)

  const measured: Measured[] = []
  for (let run = 0; run < Number(runs); run += 1) {
    say(`run ${run + 1} of ${runs}`)
    measured.push(...(await measureBeside(run, program.args, only, say)))
  }
  for (const [index, checkout] of program.args.entries()) {
    process.stdout.write(`${checkout}\n${render(measured, index)}\n`)
  }
}

/** @param index of the other checkout */
function render(measured: readonly Measured[], index: number): string {
  const table = new Table({
    head: ['', 'before', 'now', 'now / before', 'spread', 'by processor time', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  })
  const groups = Map.groupBy(measured, ({ operation, stores }) => `${operation}, ${stores}`)
  for (const [name, runs] of groups) {
    const besides = runs.flatMap(({ others }) => others[index] ?? [])
    const ratios = besides.map(({ byRate }) => byRate)
    table.push([
      name,
      `${median(besides.map(({ rate }) => rate)).toFixed(0)}/s`,
      `${median(runs.map(({ rate }) => rate)).toFixed(0)}/s`,
      median(ratios).toFixed(2),
      `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
      median(besides.map(({ byProcessor }) => byProcessor)).toFixed(2),
      median(ratios) < LEAST ? 'LOWER' : '',
    ])
  }
  return table.toString()
}

await main(process.argv.slice(2))
