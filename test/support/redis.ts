import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { Redis } from 'ioredis'
import { freePort } from '../../lab/free-port.ts'
import { killAtExit } from '../../lab/leftovers.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import type { RedisSettings } from '../../src/redis/client.ts'

/** Redis servers of the tests alone, each in a folder and on a port of its own. */

/** For `describe` and `it`: why Redis is left out, or false. In CI it must be there. */
export const skipRedis: string | false =
  process.env.CI || spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'redis-server is not installed'

export interface RedisProcess extends AsyncDisposable {
  readonly port: number
  readonly url: string
  /** Is it gone, with all it kept? Resolves when it is. */
  stop(): Promise<void>
  /** Again on the same port, empty. */
  start(): Promise<void>
  /** SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(name: NodeJS.Signals): void
  /** A client of the test. */
  readonly client: () => Redis
}

/** @param directives of redis.conf, beside those that make it keep nothing on disk */
export async function startRedis(
  directives: readonly string[] = ['save ""', 'appendonly no'],
  args: readonly string[] = [],
): Promise<RedisProcess> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const file = join(folder.path, 'redis.conf')
  const own = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder.path}`]
  await writeFile(file, [...own, ...directives, ''].join('\n'))
  const clients: Redis[] = []
  let running: ReturnType<typeof run> | undefined

  function run() {
    const child = spawn('redis-server', [file, ...args], { stdio: 'ignore' })
    killAtExit(child)
    return { child, closed: once(child, 'close') }
  }
  const server: RedisProcess = {
    port,
    url: `redis://127.0.0.1:${port}`,
    client: () => {
      const client = new Redis(port, '127.0.0.1')
      client.on('error', () => {})
      clients.push(client)
      return client
    },
    signal: (name) => running?.child.kill(name),
    start: async () => {
      running = run()
      await untilAnswering(port)
    },
    stop: async () => {
      running?.child.kill('SIGKILL')
      await running?.closed
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.disconnect()
      await server.stop()
      await folder.remove()
    },
  }
  await server.start().catch(async (error) => {
    await server[Symbol.asyncDispose]()
    throw error
  })
  return server
}

export interface RedisClusterProcesses extends AsyncDisposable {
  readonly nodes: readonly RedisProcess[]
}

/**
 * One server and one Cluster for all tests of the `describe` that calls this.
 * @returns what to connect to, by name, and every server there is
 */
export function redisPlaces() {
  let server: RedisProcess
  let cluster: RedisClusterProcesses
  before(async () => {
    server = await startRedis()
    cluster = await startRedisCluster()
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })
  return {
    places: {
      Redis: () => ({ url: server.url }),
      'a Redis Cluster': () => ({ cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`) }),
    } satisfies Record<string, () => Partial<RedisSettings>>,
    processes: () => [server, ...cluster.nodes],
  }
}

const SLOTS = 16_384

/** Three masters that share the slots. */
async function startRedisCluster(): Promise<RedisClusterProcesses> {
  const busPorts = await Promise.all([freePort(), freePort(), freePort()])
  const nodes = await Promise.all(
    busPorts.map((bus) =>
      startRedis([
        'save ""',
        'cluster-enabled yes',
        `cluster-port ${bus}`,
        'cluster-node-timeout 2000',
      ]),
    ),
  )
  const clients = nodes.map((node) => node.client())
  for (const [index, client] of clients.entries()) {
    const slot = (place: number) => Math.ceil((place * SLOTS) / nodes.length)
    await client.call('CLUSTER', 'ADDSLOTSRANGE', slot(index), slot(index + 1) - 1)
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
  }
  for (const [index, node] of nodes.entries()) {
    await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', node.port, busPorts[index] ?? 0)
  }
  await until('the Cluster is complete', async () => {
    const states = await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')))
    return states.every(
      (state) =>
        /cluster_state:ok/.test(String(state)) && /cluster_known_nodes:3/.test(String(state)),
    )
  })
  return {
    nodes,
    [Symbol.asyncDispose]: async () => {
      for (const node of nodes) await node[Symbol.asyncDispose]()
    },
  }
}

export interface SentinelProcesses extends AsyncDisposable {
  readonly master: RedisProcess
  readonly replica: RedisProcess
  readonly sentinelPort: number
}

/** A master called `keyturn`, its replica, and one Sentinel that decides alone and soon. */
export async function startSentinel(): Promise<SentinelProcesses> {
  const master = await startRedis()
  const replica = await startRedis([
    'save ""',
    `replicaof 127.0.0.1 ${master.port}`,
    'repl-diskless-sync-delay 0',
  ])
  const sentinel = await startRedis(
    [
      `sentinel monitor keyturn 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds keyturn 300',
      'sentinel failover-timeout keyturn 3000',
    ],
    ['--sentinel'],
  )
  const [client, watched] = [sentinel.client(), replica.client()]
  await until('the Sentinel knows the replica', async () => {
    const replicas = await client.call('SENTINEL', 'REPLICAS', 'keyturn')
    const state = await watched.info('replication')
    return Array.isArray(replicas) && replicas.length === 1 && /link_status:up/.test(state)
  })
  return {
    master,
    replica,
    sentinelPort: sentinel.port,
    [Symbol.asyncDispose]: async () => {
      for (const server of [sentinel, replica, master]) await server[Symbol.asyncDispose]()
    },
  }
}

let prefixes = 0

/** Settings for one test: a prefix of its own. */
export function redisSettings(changes: Partial<RedisSettings>): RedisSettings {
  prefixes += 1
  return {
    url: 'redis://default',
    cluster: [],
    sentinels: [],
    master: 'keyturn',
    prefix: `test${process.pid}.${prefixes}:`,
    timeout: 2,
    ...changes,
  }
}

/** Asks until it is so. @throws after ten seconds */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let left = 400; left > 0; left--) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`waited in vain: ${what}`)
}

/** Also where it asks for a password first. */
async function untilAnswering(port: number): Promise<void> {
  await until('redis-server answers', async () => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const [answer] = await once(socket, 'data').catch(() => [''])
    socket.destroy()
    return /PONG|NOAUTH/.test(String(answer))
  })
}
