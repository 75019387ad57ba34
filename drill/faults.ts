import type { Service } from '../lab/own-services.ts'
import { CLUSTER_FAULTS } from './cluster-faults.ts'
import type { DatabaseCluster, Entrance } from './clusters.ts'
import type { Journal } from './journal.ts'
import type { Node } from './nodes.ts'
import type { Operator } from './operator.ts'
import type { Random } from './random.ts'
import { LIMITS } from './settings.ts'

/** What is done to the nodes and their services while the keys turn, one after another. */
export interface Fault {
  readonly name: string
  /** Resolves when all nodes are ready again. */
  inject(site: Site): Promise<void>
  /** Does it make sense here? */
  isPossible(site: Site): boolean
}

export interface Site {
  readonly nodes: readonly Node[]
  /** Undefined for SQLite. */
  readonly database: Entrance | undefined
  /** Where it is one server that may be stopped. */
  readonly server: Service | undefined
  /** Where it is more than one. */
  readonly cluster: DatabaseCluster | undefined
  readonly redis: Service | undefined
  readonly operator: Operator
  readonly journal: Journal
  readonly random: Random
  /** Milliseconds; less where the drill is broken off. */
  wait(milliseconds: number): Promise<void>
  /** Short waits, so that every fault fits into less than a minute. */
  readonly isShort: boolean
}

/** Milliseconds by which a clock may be off without anybody noticing, measured as nodes do. */
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
      // It stops at once, and the balancer asks how it is now and then.
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
        // What waited for an answer on such a connection is lost; nothing that begins later is.
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
