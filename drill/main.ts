import { randomInt } from 'node:crypto'
import { Command, InvalidArgumentError, Option } from 'commander'
import { endWithNpm } from '../src/cli/npm-parent.ts'
import { type Database, runDrill } from './drill.ts'
import { renderMarkdown, renderTables } from './report.ts'
import type { Sabotage } from './settings.ts'

/**
 * `npm run drill`: real nodes, real services and real relying parties; keys turn every few seconds
 * while nodes die, services stop and clocks are wrong. Ends with 1 if a valid token was refused, a
 * request was lost without a reason, or a key was made twice.
 */

interface Arguments {
  readonly seed: number
  readonly nodes: number
  readonly database: Database
  readonly redis: boolean
  readonly rotations?: number
  readonly tokens?: number
  readonly faults?: number
  readonly only?: readonly string[]
  readonly calm: number
  readonly rate?: number
  readonly minutes?: number
  readonly short?: true
  readonly sabotage?: Sabotage
  readonly logs?: string
  readonly json?: true
  readonly markdown?: true
}

/** Aims and limits of the two forms. */
const LONG = { rotations: 500, tokens: 100_000, faults: 10, rate: 60, minutes: 60 }
const SHORT = { rotations: 4, tokens: 300, faults: 1, rate: 25, minutes: 3 }

async function main(argv: readonly string[]): Promise<void> {
  endWithNpm(process.env)
  const program = new Command('drill')
    .description('Nodes, services, relying parties and everything that can go wrong with them')
    .option('--seed <n>', 'of the faults and their order', wholeNumber, randomInt(1_000_000))
    .option('--nodes <n>', 'server processes', wholeNumber, 4)
    .addOption(
      new Option('--database <kind>')
        .choices(['postgres', 'mariadb', 'sqlite', 'galera', 'postgres-ha'])
        .default('postgres'),
    )
    .option('--no-redis', 'keep everything in the database')
    .option('--rotations <n>', `at least; ${LONG.rotations}`, wholeNumber)
    .option('--tokens <n>', `at least; ${LONG.tokens}`, wholeNumber)
    .option('--faults <n>', `at least, of each kind; ${LONG.faults}`, wholeNumber)
    .option(
      '--only <fault...>',
      'these kinds of faults only, such as "node killed, another started"',
    )
    .option('--calm <n>', 'sign-ins before, each request at another node', wholeNumber, 0)
    .option('--rate <n>', `operations of clients a second; ${LONG.rate}`, wholeNumber)
    .option('--minutes <n>', `at most; ${LONG.minutes}`, wholeNumber)
    .option('--short', 'each fault once, in about a minute')
    .addOption(
      new Option('--sabotage <bound>', 'break a bound: the drill must notice').choices([
        'propagation',
        'retention',
        'ring-age',
      ]),
    )
    .option('--logs <folder>', 'keep the logs of the nodes there')
    .option('--json', 'for programs')
    .option('--markdown', 'for documents')
    .parse(argv, { from: 'user' })
  const options = program.opts<Arguments>()
  const { seed, nodes, database, sabotage, logs } = options
  const isShort = options.short === true
  const form = isShort ? SHORT : LONG

  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // The first signal ends the drill in order; a second one ends the process.
    process.on(signal, () =>
      interrupted.signal.aborted ? process.exit(1) : interrupted.abort(signal),
    )
  }
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const others = argv.filter((word, at) => word !== '--seed' && argv[at - 1] !== '--seed')
  say(`seed ${seed}; again: npm run drill -- ${['--seed', seed, ...others].join(' ')}`)

  const report = await runDrill({
    ...{ seed, nodes, database, sabotage, logs, isShort, say },
    // A drill of a cluster needs the artifacts in the cluster, not in Redis.
    hasRedis: (database === 'postgres' || database === 'mariadb') && options.redis,
    only: options.only ?? [],
    calm: options.calm,
    rotations: options.rotations ?? form.rotations,
    tokens: options.tokens ?? form.tokens,
    faults: options.faults ?? form.faults,
    rate: options.rate ?? form.rate,
    minutes: options.minutes ?? form.minutes,
    signal: interrupted.signal,
  })
  const render = options.json
    ? () => JSON.stringify(report, null, 2)
    : options.markdown
      ? () => renderMarkdown(report)
      : () => renderTables(report)
  process.stdout.write(`${render()}\n`)
  process.exitCode = report.violations.length > 0 || report.wasInterrupted ? 1 : 0
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number')
  return value
}

await main(process.argv.slice(2))
