import { type GaleraCluster, skipGalera, startGalera } from '../lab/galera.ts'
import type { Service } from '../lab/own-services.ts'
import { type PostgresPair, skipPostgresPair, startPostgresPair } from '../lab/postgres-pair.ts'
import { startTcpSwitch, type TcpSwitch } from '../lab/tcp-switch.ts'

/** Databases that are more than one machine. */
export type ClusterKind = 'galera' | 'postgres-ha'

/** Address of the database for a node of Keyturn or for the drill itself. */
export type Entrance = Pick<Service, 'port' | 'url'>

export interface DatabaseCluster extends AsyncDisposable {
  /** Address for a node; in a Galera cluster the nodes use different database nodes in turn. */
  entrance(place: number): Entrance
  /** Address for the drill itself and for commands, always of a live database node. */
  readonly common: Entrance
  readonly galera?: { readonly cluster: GaleraCluster; readonly lead: TcpSwitch['lead'] }
  readonly postgres?: PostgresPair
}

/** Reason why this machine cannot run the cluster, or false. */
export function skipCluster(kind: ClusterKind): string | false {
  return kind === 'galera' ? skipGalera : skipPostgresPair
}

export async function startCluster(kind: ClusterKind): Promise<DatabaseCluster> {
  return kind === 'galera' ? startGaleraCluster() : startPair()
}

async function startPair(): Promise<DatabaseCluster> {
  const pair = await startPostgresPair()
  return {
    entrance: () => pair,
    common: pair,
    postgres: pair,
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  }
}

async function startGaleraCluster(): Promise<DatabaseCluster> {
  const cluster = await startGalera()
  const { nodes } = cluster
  const lead = await startTcpSwitch(nodes[0]?.port)
  const at = (place: number): Entrance => {
    const node = nodes[place % nodes.length]
    if (!node) throw new TypeError('a cluster has nodes')
    return node
  }
  return {
    entrance: (place) => at(place - 1),
    common: { port: lead.port, url: (through = lead.port) => at(0).url(through) },
    galera: { cluster, lead: lead.lead },
    [Symbol.asyncDispose]: async () => {
      await lead[Symbol.asyncDispose]()
      await cluster[Symbol.asyncDispose]()
    },
  }
}
