import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../lab/free-port.ts'
import { type Service, startService } from '../lab/own-services.ts'
import { addPerson } from '../lab/server.ts'
import { systemClock } from '../src/clock.ts'
import { chooseIssuer } from '../src/config/choose-issuer.ts'
import { loadConfig } from '../src/config/load.ts'
import { openStores } from '../src/server/stores.ts'
import { type Balancer, startBalancer } from './balancer.ts'
import { type DatabaseCluster, type Entrance, startCluster } from './clusters.ts'
import type { Database, DrillOptions } from './drill.ts'
import { type Fleet, type Refusal, startFleet } from './fleet.ts'
import { type Journal, STALLED } from './journal.ts'
import { createLoad, type Load } from './load.ts'
import { createNode, type Node } from './nodes.ts'
import { createOperator, type Operator } from './operator.ts'
import { createRandom } from './random.ts'
import type { RefusalCount } from './report.ts'
import { nodeSettings, RP_LAG, type Sabotage } from './settings.ts'
import { createWatch, type Watch } from './watch.ts'

/** Everything that takes part in a drill, started and ready. */
export interface Stage {
  readonly database: Entrance | undefined
  readonly server: Service | undefined
  readonly cluster: DatabaseCluster | undefined
  readonly redis: Service | undefined
  readonly balancer: Balancer
  readonly nodes: readonly Node[]
  readonly fleet: Fleet
  readonly watch: Watch
  readonly operator: Operator
  readonly load: Load
  /** Valid tokens that relying parties refused. */
  readonly refusals: ReadonlyMap<string, RefusalCount>
}

export interface StageOptions {
  readonly drill: DrillOptions
  readonly journal: Journal
  /** Writes a line to the log of the drill. */
  readonly note: (line: string) => void
  /** Aborted when the drill is over. */
  readonly halt: AbortSignal
}

/** @param stack stops what was started, in reverse order, even if the start fails */
export async function setStage(
  stack: AsyncDisposableStack,
  { drill, journal, note, halt }: StageOptions,
): Promise<Stage> {
  const { seed, sabotage, hasRedis } = drill
  const folder = temporaryFolder(stack)
  const { server, cluster } = await startDatabase(stack, drill.database)
  const database = server ?? cluster?.common
  const redis = hasRedis ? stack.use(await startService('redis')) : undefined
  const balancer = stack.use(
    await startBalancer({
      port: await freePort(),
      onLost: journal.lost,
      onRetry: journal.retried,
    }),
  )
  const writeConfig = (name: string, broken: Sabotage | undefined) => {
    const file = join(folder, name)
    const settings = nodeSettings({
      issuer: balancer.url,
      folder,
      databaseUrl: database?.url() ?? `sqlite:${join(folder, 'keyturn.db')}`,
      sabotage: broken,
      // A Galera node that dies stops commits for 6 s.
      // After a failover no code that a client holds may be unknown.
      durability: drill.database === 'postgres-ha' ? 'full' : 'relaxed',
      databaseTimeout: drill.database === 'galera' ? 10 : 5,
      logLevel: drill.logs ? 'info' : 'warn',
    })
    writeFileSync(file, JSON.stringify(settings, null, 2))
    return file
  }
  const config = writeConfig('keyturn.yaml', sabotage)
  // The drill itself loads a configuration within the bounds.
  const resolved = loadConfig({ file: writeConfig('sound.yaml', undefined), env: {} })
  await addPerson(resolved)
  const stores = (await openStores(resolved, systemClock)).of(chooseIssuer(resolved).issuer)
  stack.defer(() => stores.close().catch(() => {}))

  const nodes: Node[] = []
  for (let place = 1; place <= drill.nodes; place += 1) {
    const random = createRandom(seed, `connections of node ${place}`)
    const node = await createNode({
      ...{ place, config, folder: drill.logs ?? folder, balancer, journal, random },
      ...{ database: cluster?.entrance(place) ?? server, redis, sabotage, halt },
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
  const redisUrl = redis?.url()
  const environment = redisUrl ? { KEYTURN_REDIS__URL: redisUrl } : {}
  const operator = createOperator({
    ...{ config, environment, sabotage, journal, fleet, watch, halt, hasRedis },
  })
  const load = createLoad({
    issuer: balancer.url,
    rate: drill.rate,
    random: createRandom(seed, 'load'),
    journal,
    onIssue: (issue) => {
      watch.issued(issue)
      fleet.verify(issue)
    },
  })
  stack.defer(load.stop)
  return {
    database,
    server,
    cluster,
    redis,
    balancer,
    nodes,
    fleet,
    watch,
    operator,
    load,
    refusals,
  }
}

async function startDatabase(
  stack: AsyncDisposableStack,
  kind: Database,
): Promise<Pick<Stage, 'server' | 'cluster'>> {
  if (kind === 'sqlite') return { server: undefined, cluster: undefined }
  if (kind === 'galera' || kind === 'postgres-ha') {
    return { server: undefined, cluster: stack.use(await startCluster(kind)) }
  }
  return { server: stack.use(await startService(kind)), cluster: undefined }
}

function noteRefusal(
  refusal: Refusal,
  journal: Journal,
  refusals: Map<string, RefusalCount>,
): void {
  const { rp, isCovered, why, couldFetch, jwksAge, kid, kind, exp, from, to } = refusal
  // An RP whose fetch has failed does not try again before its cool-down is over.
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
    `${rp} refused a valid ${kind} of ${kid}, ${left} s before its end: ${why} ` +
      `(it got the JWKS ${(jwksAge / 1000).toFixed(1)} s before)`,
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
