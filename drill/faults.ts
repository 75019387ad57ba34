import type { Service } from '../lab/own-services.ts'
import { CLUSTER_FAULTS } from './cluster-faults.ts'
import type { DatabaseCluster, Entrance } from './clusters.ts'
import type { Journal } from './journal.ts'
import type { Node } from './nodes.ts'
import type { Operator } from './operator.ts'
import type { Random } from './random.ts'
import { LIMITS } from './settings.ts'

/** A fault of nodes or services while keys rotate; faults are injected one after another. */
export interface Fault {
  readonly name: string
  /** Resolves when all nodes are ready again. */
  inject(site: Site): Promise<void>
  /** True if the fault is possible at this site. */
  isPossible(site: Site): boolean
}

export interface Site {
  readonly nodes: readonly Node[]
  /** Undefined for SQLite. */
  readonly database: Entrance | undefined
  /** The database server, if it is a single one that may be stopped. */
  readonly server: Service | undefined
  /** The database cluster, if there is one. */
  readonly cluster: DatabaseCluster | undefined
  readonly redis: Service | undefined
  readonly operator: Operator
  readonly journal: Journal
  readonly random: Random
  /** Waits for milliseconds; shorter if the drill is aborted. */
  wait(milliseconds: number): Promise<void>
  /** Short waits, so that every fault fits into less than a minute. */
  readonly isShort: boolean
}

/** Milliseconds by which a clock may be off without a node noticing. */
const EDGE = LIMITS.clockSkew * 1000 - 200

/** Milliseconds in which the balancer notices that a node is not ready. */
const NOTICED = 1000

export const FAULTS: readonly Fault[] = [
  {
    name: 'node killed, another started',
    isPossible: () => true,
    inject: async ({ nodes, random, isShort, wait }) => {
      const node = random.pick(nodes)
      await node.kill()
      await wait(random.between(100, isShort ? 500 : 3000))
      await node.start()
    },
  },
  {
    name: 'rolling update',
    isPossible: () => true,
    inject: async ({ nodes, random }) => {
      for (const node of random.shuffle(nodes)) {
        await node.stop()
        await node.start()
      }
    },
  },
  {
    name: 'clocks at the edge',
    isPossible: () => true,
    inject: async ({ nodes, random, isShort, wait }) => {
      for (const node of nodes) node.setClock(random.pick([-EDGE, 0, EDGE]))
      await wait(random.between(1000, isShort ? 1500 : 6000))
    },
  },
  {
    name: 'clock beyond the edge',
    // SQLite has no other clock to compare with.
    isPossible: ({ database }) => database !== undefined,
    inject: async ({ nodes, journal, random, isShort, wait }) => {
      const node = random.pick(nodes)
      const seconds = random.pick([-60, -15, -5, 5, 15, 60])
      // The node stops serving at once, but the balancer notices only at its next poll.
      const over = journal.excuse({ cause: 'wrong clock, not yet noticed', node: node.name })
      node.setClock(seconds * 1000)
      await wait(NOTICED)
      over()
      await wait(random.between(2000, isShort ? 2500 : 5000))
      node.setClock(0)
      await node.untilReady()
    },
  },
  {
    name: 'database stopped',
    isPossible: ({ server }) => server !== undefined,
    inject: (site) => stopAndStart(site, site.server, 'stopped database'),
  },
  {
    name: 'Redis stopped',
    isPossible: ({ redis }) => redis !== undefined,
    inject: (site) => stopAndStart(site, site.redis, 'stopped Redis'),
  },
  {
    name: 'slow connections',
    isPossible: ({ database }) => database !== undefined,
    inject: async ({ nodes, random, isShort, wait }) => {
      const slow = random.shuffle(nodes).slice(0, Math.ceil(random.number() * nodes.length))
      const most = random.between(10, 100)
      for (const node of slow) {
        node.database?.delay(most)
        node.redis?.delay(most / 4)
      }
      await wait(random.between(1000, isShort ? 1500 : 5000))
      for (const node of slow) {
        node.database?.delay(0)
        node.redis?.delay(0)
      }
    },
  },
  {
    name: 'connections dropped',
    isPossible: ({ database }) => database !== undefined,
    inject: async ({ nodes, journal, random, wait }) => {
      for (const node of random.shuffle(nodes).slice(0, Math.ceil(nodes.length / 2))) {
        // Only requests that waited for an answer on such a connection are lost, not later ones.
        const over = journal.excuse({ cause: 'dropped connection', node: node.name })
        node.database?.drop()
        node.redis?.drop()
        await wait(20)
        over()
      }
      await Promise.all(nodes.map((node) => node.untilReady()))
    },
  },
  {
    name: 'node cut off',
    isPossible: ({ database }) => database !== undefined,
    inject: async ({ nodes, journal, random, isShort, wait }) => {
      const node = random.pick(nodes)
      const over = journal.excuse({ cause: 'cut-off node', node: node.name })
      node.database?.cut()
      if (random.number() < 0.5) node.redis?.cut()
      const limit = LIMITS.maxRingAge * 1000
      await wait(random.between(limit + 500, limit + (isShort ? 1000 : 4000)))
      node.database?.mend()
      node.redis?.mend()
      await node.untilReady()
      over()
    },
  },
  {
    name: 'rotation by hand',
    isPossible: () => true,
    inject: ({ operator }) => operator.rotate(),
  },
  {
    name: 'key revoked',
    isPossible: () => true,
    inject: async ({ operator }) => {
      await operator.revoke()
    },
  },
  ...CLUSTER_FAULTS,
]

async function stopAndStart(
  { nodes, journal, random, isShort, wait }: Site,
  service: Service | undefined,
  cause: string,
): Promise<void> {
  const over = journal.excuse({ cause })
  await service?.stop(random.pick(['fast', 'immediate']))
  await wait(random.between(500, isShort ? 1500 : 5000))
  await service?.start()
  // The balancer may not have noticed that a node was not ready.
  await wait(LIMITS.refreshInterval * 1000)
  await Promise.all(nodes.map((node) => node.untilReady()))
  over()
}
