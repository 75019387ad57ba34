import { setTimeout as delay } from 'node:timers/promises'
import type { GaleraNode } from '../lab/galera.ts'
import type { Fault, Site } from './faults.ts'
import { LIMITS } from './settings.ts'

/** Faults of database clusters. Requests may be answered 503, but must not fail otherwise. */

/** The answer of a node, and that of the balancer if no node is ready. */
const ONLY_503 = ['answered 503', 'answered temporarily_unavailable', 'no node is ready']

/** Milliseconds beyond which Galera has given up a node: evs.suspect_timeout, and time to agree. */
const GIVEN_UP = 7000

export const CLUSTER_FAULTS: readonly Fault[] = [
  {
    name: 'Galera node killed',
    isPossible: ({ cluster }) => cluster?.galera !== undefined,
    inject: (site) =>
      withGalera(site, 'killed Galera node', async ([victim]) => {
        await victim?.kill()
        await site.wait(GIVEN_UP)
        await victim?.start()
      }),
  },
  {
    name: 'Galera node frozen',
    isPossible: ({ cluster }) => cluster?.galera !== undefined,
    inject: (site) =>
      withGalera(site, 'frozen Galera node', async ([victim]) => {
        victim?.signal('SIGSTOP')
        await site.wait(GIVEN_UP + 2000)
        victim?.signal('SIGCONT')
      }),
  },
  {
    name: 'Galera without quorum',
    isPossible: ({ cluster }) => cluster?.galera !== undefined,
    inject: (site) =>
      withGalera(site, 'Galera without quorum', async ([first, second]) => {
        for (const node of [first, second]) node?.signal('SIGSTOP')
        await site.wait(GIVEN_UP + 2000)
        for (const node of [first, second]) node?.signal('SIGCONT')
      }),
  },
  {
    name: 'failover right after a revocation',
    isPossible: ({ cluster }) => cluster?.postgres !== undefined,
    inject: async (site) => {
      const { operator, journal, cluster, nodes, wait } = site
      const pair = cluster?.postgres
      if (!pair) return
      let over = () => {}
      const kid = await operator.revoke(async () => {
        over = journal.excuse({ cause: 'failover', lostBy: ONLY_503 })
        journal.took('failover', await pair.failOver())
      })
      await operator.assertRevoked(kid)
      await wait(LIMITS.refreshInterval * 1000)
      await Promise.all(nodes.map((node) => node.untilReady()))
      await pair.rebuild()
      await wait(LIMITS.refreshInterval * 1000)
      await Promise.all(nodes.map((node) => node.untilReady()))
      over()
    },
  },
]

/** Milliseconds in which a cluster must be whole again. */
const WHOLE = 60_000

/**
 * Does something to some nodes of the cluster, and waits until it is whole and all nodes are ready.
 */
async function withGalera(
  { cluster, random, journal, nodes, wait }: Site,
  cause: string,
  work: (victims: readonly GaleraNode[]) => Promise<void>,
): Promise<void> {
  const galera = cluster?.galera
  if (!galera) return
  const victims = random.shuffle(galera.cluster.nodes)
  // The last node is spared and observed.
  galera.lead(victims.at(-1)?.port)
  const over = journal.excuse({ cause, lostBy: ONLY_503 })
  const from = Date.now()
  await work(victims)
  for (const node of victims) {
    while (!(await node.isServing())) {
      if (Date.now() - from > WHOLE) {
        journal.violation('drill', `Galera node ${node.place} does not come back`)
        return
      }
      await delay(100)
    }
  }
  journal.took(cause, Date.now() - from)
  await wait(LIMITS.refreshInterval * 1000)
  await Promise.all(nodes.map((node) => node.untilReady()))
  over()
}
