import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { freePort } from './free-port.ts'
import { findProgram, type Identity, identityOf, run } from './programs.ts'
import { temporaryFolder } from './temporary.ts'

/** A MariaDB Galera Cluster for the tests alone, each node on its own ports of the loopback. */

const PROVIDER = '/usr/lib/galera/libgalera_smm.so'

/** Reason to skip Galera tests, for `describe` and `it`, or false. In CI Galera must exist. */
export const skipGalera: string | false = reasonToSkip()

function reasonToSkip(): string | false {
  const isThere =
    findProgram('mariadbd') && findProgram('mariadb-install-db') && findProgram(PROVIDER)
  if (isThere) return false
  const reason = 'MariaDB with Galera (mariadb-server, galera-4) is not installed'
  if (process.env.CI) throw new Error(reason)
  return reason
}

export interface GaleraNode {
  /** Number of the node, from 1. */
  readonly place: number
  readonly port: number
  /** URL of the database `keyturn`. */
  url(through?: number): string
  /** Sends SIGKILL; the node's data stay. */
  kill(): Promise<void>
  /** Sends a signal: SIGSTOP freezes the node, SIGCONT lets it continue. */
  signal(name: NodeJS.Signals): void
  /** Starts the node again with its data; resolves when it serves. */
  start(): Promise<void>
  /** True if the node is `Synced` and part of a primary component. */
  isServing(): Promise<boolean>
  query(sql: string): Promise<RowDataPacket[]>
}

export interface GaleraCluster extends AsyncDisposable {
  readonly nodes: readonly GaleraNode[]
}

/** Milliseconds that a node may take to start and to join. */
const START_LIMIT = 90_000
const POLL = 100

/** @param size how many nodes; 3 and more survive the loss of one */
export async function startGalera(size = 3): Promise<GaleraCluster> {
  const folder = await temporaryFolder()
  const identity = identityOf('mysql')
  const ports = await Promise.all(
    Array.from({ length: size }, async (_, index) => {
      const [port, group] = [await freePort(), await freePort()]
      return { place: index + 1, port, group, ist: await freePort(), sst: await freePort() }
    }),
  )
  const address = ports.map(({ group }) => `127.0.0.1:${group}`).join(',')
  const places = ports.map((own) => ({ ...own, address, base: folder.path, identity }))
  const made: (GaleraNode & AsyncDisposable)[] = []
  const cluster: GaleraCluster = {
    nodes: made,
    [Symbol.asyncDispose]: async () => {
      for (const node of made) await node[Symbol.asyncDispose]()
      await folder.remove()
    },
  }
  try {
    await install(places)
    for (const place of places) {
      const node = createNode(place)
      made.push(node)
      await node.bootstrapOrJoin()
    }
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
  return cluster
}

interface Place {
  readonly place: number
  readonly port: number
  readonly group: number
  readonly ist: number
  readonly sst: number
  readonly address: string
  readonly base: string
  readonly identity: Identity | undefined
}

/** Folders of a node. */
function homeOf({ base, place }: Place): { readonly home: string; readonly data: string } {
  const home = join(base, `node${place}`)
  return { home, data: join(home, 'data') }
}

/** Makes the folders of all nodes, each with a copy of one empty database. */
async function install(places: readonly Place[]): Promise<void> {
  const [first, ...others] = places.map((place) => ({ ...place, ...homeOf(place) }))
  if (!first) throw new RangeError('a cluster has at least one node')
  const { base, identity } = first
  for (const { home } of [first, ...others]) await mkdir(home)
  if (identity) await run('chown', ['-R', `${identity.uid}:${identity.gid}`, base])
  await run(
    'mariadb-install-db',
    [
      ...['--no-defaults', `--datadir=${first.data}`, '--skip-test-db'],
      '--auth-root-authentication-method=normal',
    ],
    { ...identity, cwd: first.home },
  )
  for (const { home } of others) await run('cp', ['-a', first.data, home])
}

function serverArguments(place: Place): readonly string[] {
  const { port, group, ist, sst } = place
  const { home, data } = homeOf(place)
  return [
    ...['--no-defaults', `--datadir=${data}`, `--port=${port}`, '--bind-address=127.0.0.1'],
    ...[`--socket=${home}/mariadb.sock`, `--pid-file=${home}/pid`, '--max-connections=300'],
    ...['--binlog-format=ROW', '--default-storage-engine=InnoDB'],
    // Only a crash of the machine would lose data, not one of the process.
    ...['--innodb-autoinc-lock-mode=2', '--innodb-flush-log-at-trx-commit=2'],
    ...['--innodb-buffer-pool-size=32M', '--performance-schema=OFF', '--skip-name-resolve'],
    ...['--wsrep-on=ON', `--wsrep-provider=${PROVIDER}`, '--wsrep-cluster-name=keyturn'],
    ...[`--wsrep-node-name=node${place.place}`, '--wsrep-node-address=127.0.0.1'],
    '--wsrep-sst-method=rsync',
    `--wsrep-sst-receive-address=127.0.0.1:${sst}`,
    `--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:${group};` +
      `ist.recv_addr=127.0.0.1:${ist};gcache.size=16M;pc.recovery=true`,
  ]
}

async function queryAt(port: number, sql: string): Promise<RowDataPacket[]> {
  const connection = await createConnection({
    ...{ host: '127.0.0.1', port, user: 'root', connectTimeout: 3000 },
  })
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql)
    return rows
  } finally {
    connection.destroy()
  }
}

function createNode(place: Place) {
  const { port, address, identity } = place
  const { home } = homeOf(place)
  const log = join(home, 'log')
  let child: ChildProcess | undefined
  let exited: Promise<unknown> = Promise.resolve()
  let wasInCluster = false

  const query = (sql: string) => queryAt(port, sql)
  const isServing = async () => {
    const rows = await query(
      `SHOW STATUS WHERE (Variable_name = 'wsrep_cluster_status' AND Value = 'Primary')
         OR (Variable_name = 'wsrep_local_state_comment' AND Value = 'Synced')`,
    ).catch(() => [])
    return rows.length === 2
  }
  const launch = async (more: readonly string[]) => {
    child = spawn(findProgram('mariadbd') ?? 'mariadbd', [...serverArguments(place), ...more], {
      ...{ ...identity, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] },
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text) => void appendFile(log, text).catch(() => {}))
    }
    exited = once(child, 'exit')
  }
  const untilServing = async () => {
    const deadline = Date.now() + START_LIMIT
    while (!(await isServing())) {
      const isOver = child?.exitCode !== null || Date.now() > deadline
      if (isOver) throw new Error(`Galera node ${place.place} does not start; its log is ${log}`)
      await delay(POLL)
    }
  }
  const killNow = () => child?.kill('SIGKILL')
  process.on('exit', killNow)
  return {
    place: place.place,
    port,
    url: (through = port) => `mysql://root@127.0.0.1:${through}/keyturn`,
    query,
    isServing,
    signal: (name: NodeJS.Signals) => void child?.kill(name),
    kill: async () => {
      child?.kill('SIGKILL')
      await exited
    },
    start: async () => {
      await launch([`--wsrep-cluster-address=gcomm://${address}`])
      await untilServing()
    },
    /** The first node makes the cluster, the others take its data. */
    bootstrapOrJoin: async () => {
      const isFirst = place.place === 1 && !wasInCluster
      wasInCluster = true
      await launch([`--wsrep-cluster-address=gcomm://${isFirst ? '' : address}`])
      await untilServing()
      if (isFirst) await query('CREATE DATABASE IF NOT EXISTS keyturn')
    },
    [Symbol.asyncDispose]: async () => {
      process.removeListener('exit', killNow)
      // A frozen process takes no other signal than SIGKILL.
      killNow()
      await exited
    },
  }
}
