import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import Table from 'cli-table3'
import { Command } from 'commander'
import { stringify } from 'yaml'
import { freePort } from '../lab/free-port.ts'
import { killAtExit } from '../lab/leftovers.ts'
import { temporaryFolder } from '../lab/temporary.ts'

/**
 * `npm run bench:issuers`: what several issuers on one server cost beside one. Each server is
 * started on an empty SQLite database, which makes keys for every issuer, and then once more on
 * what is there.
 */

interface Cost {
  readonly issuers: number
  /** Seconds from the start of the process until it is ready. */
  readonly firstStart: number
  readonly laterStart: number
  /** MB that are resident, some seconds after the later start was ready. */
  readonly memory: number
}

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('bench:issuers')
    .description('Start time and memory of several issuers on one server')
    .option('--counts <n...>', 'how many issuers', ['1', '20'])
    .option('--rest <seconds>', 'between ready and the look at the memory', '10')
    .option('--json', 'answer in JSON')
    .parse(argv, { from: 'user' })
  const { counts, rest, json } = program.opts<{ counts: string[]; rest: string; json?: true }>()
  const costs: Cost[] = []
  for (const count of counts) costs.push(await measure(Number(count), Number(rest)))
  if (json) return void process.stdout.write(`${JSON.stringify(costs)}\n`)
  const table = new Table({ head: ['issuers', 'first start', 'later start', 'memory (RSS)'] })
  for (const { issuers, firstStart, laterStart, memory } of costs) {
    const seconds = (value: number) => `${value.toFixed(2)} s`
    table.push([issuers, seconds(firstStart), seconds(laterStart), `${memory.toFixed(0)} MB`])
  }
  process.stdout.write(`${table}\n`)
}

async function measure(issuers: number, rest: number): Promise<Cost> {
  // On the disk, as a server's database is.
  const folder = await temporaryFolder(tmpdir())
  try {
    const [port, management] = [await freePort(), await freePort()]
    const file = join(folder.path, 'keyturn.yaml')
    const list = Array.from({ length: issuers }, (_, index) => ({
      issuer: `http://localhost:${port}/tenant-${index}`,
    }))
    await writeFile(
      file,
      stringify({
        ...(issuers === 1 ? { issuer: `http://localhost:${port}` } : { issuers: list }),
        http: { port },
        management: { port: management },
        database: { url: `sqlite:${folder.path}/keyturn.db` },
        seal: { file: `${folder.path}/kek.jwks` },
        log: { level: 'error' },
      }),
    )
    const first = await run(file, management, 0)
    const later = await run(file, management, rest)
    return { issuers, firstStart: first.start, laterStart: later.start, memory: later.memory }
  } finally {
    await folder.remove()
  }
}

/** @param rest seconds between ready and the look at the memory */
async function run(file: string, management: number, rest: number) {
  const root = join(import.meta.dirname, '..')
  const startedAt = performance.now()
  const child = spawn(process.execPath, [join(root, 'src/cli.ts'), 'serve', '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  killAtExit(child)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  while (!(await isReady(management))) {
    if (child.exitCode !== null) throw new Error('the server did not start')
    await sleep(20)
  }
  const start = (performance.now() - startedAt) / 1000
  await sleep(rest * 1000)
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  const memory = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
  child.kill('SIGTERM')
  await ended
  return { start, memory }
}

async function isReady(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined)
  return answer?.ok === true
}

await main(process.argv.slice(2))
