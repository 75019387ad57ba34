import { randomInt } from 'node:crypto'
import { Command, InvalidArgumentError } from 'commander'
import { type FuzzReport, fuzz } from './run.ts'

/**
 * `npm run fuzz`: mutated requests against a running server. None may be answered with an error of
 * the server, nothing may grow, and no secret may be in the log. A seed that found something finds
 * it again.
 */

/** Allowed growth of the heap. */
const GROWTH = 1.1

function number(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('It must be a whole number.')
  return value
}

function describe(report: FuzzReport): string {
  const { seed, requests, statuses, heap, logBytes, errors, failures, leaked, hasCrashed } = report
  const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  return [
    `${requests} requests, seed ${seed}`,
    `answers   ${Object.entries(statuses)
      .map(([status, count]) => `${status === '0' ? 'none' : status}: ${count}`)
      .join(', ')}`,
    `failures  ${failures.length}${hasCrashed ? ', and the server crashed' : ''}`,
    `heap      ${mb(heap.warm)} MB once warm, ${mb(heap.end)} MB at the end`,
    `log       ${mb(logBytes)} MB, ${errors.length} errors, secrets: ${leaked.join(', ') || 'none'}`,
    ...failures.map(({ status, request }) => `\n--- ${status}\n${request}`),
    ...errors.slice(0, 10),
  ].join('\n')
}

const program = new Command('fuzz')
  .description('Mutated requests against a running server')
  .option('--requests <count>', 'how many', number, 200_000)
  .option('--seed <number>', 'the same seed sends the same requests', number, randomInt(2 ** 31))
  .parse()
const { requests, seed } = program.opts<{ requests: number; seed: number }>()
const onProgress = (sent: number) => process.stderr.write(`\r${sent} `)
const report = await fuzz({ requests, seed, onProgress })
process.stdout.write(`\n${describe(report)}\n`)
const { heap, failures, hasCrashed, leaked, errors } = report
const isSound =
  failures.length + leaked.length + errors.length === 0 &&
  !hasCrashed &&
  heap.end <= heap.warm * GROWTH
process.exitCode = isSound ? 0 : 1
