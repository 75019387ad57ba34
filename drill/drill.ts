import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { loadConfig } from '../src/config/load.ts'
import { openStores } from '../src/stores.ts'
import { addPerson, freePort } from '../test/support/server.ts'
import { startBalancer } from './balancer.ts'
import { FAULTS, type Site } from './faults.ts'
import { type Refusal, startFleet } from './fleet.ts'
import { createJournal, type Journal, STALLED } from './journal.ts'
import { createLoad } from './load.ts'
import { createNode, type Node } from './nodes.ts'
import { createOperator } from './operator.ts'
import { createRandom } from './random.ts'
import type { RefusalCount, Report } from './report.ts'
import { startService } from './services.ts'
import { nodeSettings, RP_LAG, type Sabotage, TOKEN_LIFETIME } from './settings.ts'
import { watchStalls } from './stalls.ts'
import { createWatch } from './watch.ts'

export type Database = 'sqlite' | 'postgres' | 'mariadb'

export interface DrillOptions {
  readonly seed: number
  readonly nodes: number
  readonly database: Database
  readonly hasRedis: boolean
  /** Aims: the drill goes on until all of them are reached. */
  readonly rotations: number
  readonly tokens: number
  /** Of each kind of fault. */
  readonly faults: number
  /** Operations of clients a second. */
  readonly rate: number
  /** The drill ends, even if an aim is not reached. */
  readonly minutes: number
  readonly isShort: boolean
  /** Break a bound, and end at the first violation. */
  readonly sabotage: Sabotage | undefined
  /** Where logs of the nodes are kept; they are thrown away if undefined. */
  readonly logs: string | undefined
  /** Told while it runs, one line each. */
  readonly say: (line: string) => void
  /** Ends the drill early. */
  readonly signal: AbortSignal
}

/** From the start of the drill to its report; leaves nothing behind, however it ends. */
export async function runDrill(options: DrillOptions): Promise<Report> {
  const { seed, sabotage, signal } = options
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
  // There is no more to find out: somebody interrupted it, or the sabotage was noticed.
  const halting = new AbortController()
  const halt = halting.signal
  signal.addEventListener('abort', () => halting.abort(), { once: true })
  const journal = createJournal({
    // What is torn down now may fail.
    isOver: () => halt.aborted,
    onViolation: ({ rule, detail }) => {
      say(`VIOLATION  ${rule}: ${detail}`)
      if (sabotage) halting.abort()
    },
  })
  stack.defer(watchStalls(journal.stalled))
  const folder = temporaryFolder(stack)
  const logs = options.logs ?? folder

  say('starting services and nodes ...')
  const database =
    options.database === 'sqlite' ? undefined : stack.use(await startService(options.database))
  const redis = options.hasRedis ? stack.use(await startService('redis')) : undefined
  const balancer = stack.use(
    await startBalancer({
      port: await freePort(),
      onLost: journal.lost,
      onRetry: journal.retried,
    }),
  )
  const databaseUrl = database?.url() ?? `sqlite:${join(folder, 'keyturn.db')}`
  const config = join(folder, 'keyturn.yaml')
  const logLevel = options.logs ? 'info' : 'warn'
  const writeConfig = (file: string, broken: Sabotage | undefined) =>
    writeFileSync(
      file,
      JSON.stringify(
        nodeSettings({ issuer: balancer.url, folder, databaseUrl, sabotage: broken, logLevel }),
        null,
        2,
      ),
    )
  writeConfig(config, sabotage)
  // The drill's own eyes keep to the bounds.
  const sound = join(folder, 'sound.yaml')
  writeConfig(sound, undefined)
  const redisUrl = redis?.url()
  const environment = redisUrl ? { KEYTURN_REDIS__URL: redisUrl } : {}
  const resolved = loadConfig({ file: sound, env: {} })
  await addPerson(resolved)
  const stores = await openStores(resolved, systemClock)
  stack.defer(() => stores.close().catch(() => {}))

  const nodes: Node[] = []
  for (let place = 1; place <= options.nodes; place += 1) {
    const random = createRandom(seed, `connections of node ${place}`)
    const node = await createNode({
      ...{ place, config, folder: logs, balancer, journal, random },
      ...{ database, redis, sabotage, halt },
    })
    nodes.push(stack.use(node))
  }
  await Promise.all(nodes.map((node) => node.start()))
  if (!nodes.some((node) => node.isUp)) throw new Error('no node starts')

  const refusals = new Map<string, RefusalCount>()
  const fleet = stack.use(
    await startFleet({
      issuer: balancer.url,
      seed,
      onRefusal: (refusal) => noteRefusal(refusal, journal, refusals),
      onStall: journal.stalled,
    }),
  )
  const watch = stack.use(createWatch({ nodes: () => nodes, store: stores.keys, journal, note }))
  const operator = createOperator({
    ...{ config, environment, sabotage, journal, fleet, watch, halt },
    hasRedis: options.hasRedis,
  })
  const load = createLoad({
    issuer: balancer.url,
    rate: options.rate,
    random: createRandom(seed, 'load'),
    journal,
    onIssue: (issue) => {
      watch.issued(issue)
      fleet.verify(issue)
    },
  })
  const site: Site = {
    ...{ nodes, database, redis, operator, journal },
    random: createRandom(seed, 'faults'),
    wait: (milliseconds) => waitFor(milliseconds, halt),
    isShort: options.isShort,
  }

  stack.defer(load.stop)
  load.start()
  const loadStartedAt = Date.now()
  const deadline = startedAt + options.minutes * 60_000
  const tokens = () => sum(load.issued, (kind) => kind.includes('token'))
  const rotations = () => sum(watch.signed, (_, kids) => kids.size - 1)
  const isReached = () =>
    rotations() >= options.rotations &&
    tokens() >= options.tokens &&
    FAULTS.every(
      (fault) => !fault.isPossible(site) || (journal.faults.get(fault.name) ?? 0) >= options.faults,
    )
  const isOver = () => halt.aborted || Date.now() > deadline || isReached()

  if (sabotage) await sabotageStory(sabotage, site)
  while (!isOver()) {
    for (const fault of site.random.shuffle(FAULTS)) {
      if (isOver()) break
      if (!fault.isPossible(site)) continue
      const isEnough = (journal.faults.get(fault.name) ?? 0) >= options.faults
      if (options.isShort && isEnough) continue
      say(`${fault.name}  (${rotations()} rotations, ${tokens()} tokens)`)
      await fault.inject(site)
      journal.fault(fault.name)
      await site.wait(options.isShort ? 200 : 1000)
    }
    if (options.isShort) await site.wait(200)
  }
  const wasReached = isReached()
  await load.stop()
  const loadTime = (Date.now() - loadStartedAt) / 1000
  if (!halt.aborted) {
    // Tokens that are alive are verified to their end.
    await site.wait(TOKEN_LIFETIME * 1000)
    await watch.finish()
    if (!wasReached) {
      journal.violation('drill', `the aims were not reached in ${options.minutes} minutes`)
    }
  }
  await fleet.stop()
  return {
    ...{ seed, nodes: options.nodes, database: options.database, hasRedis: options.hasRedis },
    sabotage: sabotage ?? null,
    duration: (Date.now() - startedAt) / 1000,
    tokenRate: tokens() / loadTime,
    faults: Object.fromEntries(journal.faults),
    keys: Object.fromEntries(
      [...watch.signed].map(([ring, kids]) => [
        ring,
        {
          made: [...watch.made.keys()].filter((p) => p.startsWith(`${ring} `)).length,
          used: kids.size,
        },
      ]),
    ),
    rotations: rotations(),
    tokens: tokens(),
    operations: Object.fromEntries(load.issued),
    relyingParties: fleet.tallies,
    refusals: [...refusals.values()],
    lost: Object.fromEntries(journal.lostTo),
    retried: balancer.retried(),
    served: Object.fromEntries(balancer.served),
    emergencies: operator.emergencies,
    stalledFor: journal.stalledFor(),
    wasInterrupted: signal.aborted,
    violations: journal.violations.map(({ rule, detail, at }) => ({
      ...{ rule, detail },
      after: (at - startedAt) / 1000,
    })),
  }
}

/** By then every ring has turned, in milliseconds. */
const SABOTAGE_LIMIT = 45_000

/** What makes a broken bound visible. */
async function sabotageStory(sabotage: Sabotage, { nodes, journal, wait }: Site): Promise<void> {
  const [first] = nodes
  if (sabotage === 'ring-age' && first?.database) {
    // A node that never learns of new keys, and goes on all the same.
    await wait(2000)
    journal.excuse({ cause: 'cut-off node', node: first.name })
    first.database.cut()
    first.redis?.cut()
  }
  await wait(SABOTAGE_LIMIT)
  journal.violation('drill', `it did not notice the sabotage of ${sabotage}`)
}

/** Resolves after the time, or as soon as nothing has to be waited for. */
function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return delay(milliseconds, undefined, { signal }).catch(() => {})
}

function noteRefusal(
  refusal: Refusal,
  journal: Journal,
  refusals: Map<string, RefusalCount>,
): void {
  const { rp, isCovered, why, couldFetch, kid, kind, exp, from, to } = refusal
  // One whose fetch has failed does not try again before its cool-down is over.
  const since = couldFetch ? from : from - RP_LAG * 1000
  const found = journal.excuseFor({ from: since, to }, undefined)
  const excuse = !couldFetch || found?.cause === STALLED ? found : undefined
  const key = `${rp} ${why} ${excuse?.cause}`
  const known = refusals.get(key)
  refusals.set(key, {
    ...{ rp, why, isCovered },
    excuse: excuse?.cause ?? null,
    count: (known?.count ?? 0) + 1,
  })
  if (!isCovered || excuse) return
  const left = (exp - to / 1000).toFixed(1)
  journal.violation(
    'refused token',
    `${rp} refused a valid ${kind} of ${kid}, ${left} s before its end: ${why}`,
  )
}

function temporaryFolder(stack: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-drill-'))
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  process.once('exit', remove)
  stack.defer(() => {
    process.removeListener('exit', remove)
    remove()
  })
  return folder
}

function sum<V>(
  counts: ReadonlyMap<string, V>,
  value: (key: string, of: V) => number | boolean,
): number {
  let total = 0
  for (const [key, of] of counts) {
    const part = value(key, of)
    total += typeof part === 'number' ? part : part ? Number(of) : 0
  }
  return total
}
