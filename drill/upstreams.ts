import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** The nodes behind the balancer, polled for their readiness, and whose turn it is. */
export interface Upstreams {
  add(upstream: Upstream): void
  remove(name: string): void
  /** True if the node was ready at the last poll. */
  isReady(name: string): boolean
  /**
   * The ready node whose turn it is; undefined if there is none.
   * @param tried names of nodes that do not come into question
   * @param avoid name of a node that is taken only if there is no other
   */
  choose(tried: ReadonlySet<string>, avoid: string | undefined): ReadyNode | undefined
  close(): void
}

export interface Upstream {
  readonly name: string
  readonly port: number
  readonly managementPort: number
}

/** A node as a request is sent to it. */
export interface ReadyNode extends Upstream {
  readonly agent: Agent
  /** Takes the node for not ready until the next poll. */
  noteFailure(): void
}

interface Node extends ReadyNode {
  isReady: boolean
}

/** Milliseconds between two polls. */
const HEALTH_INTERVAL = 200
const HEALTH_TIMEOUT = 1000

export function createUpstreams(): Upstreams {
  const nodes = new Map<string, Node>()
  const stopping = new AbortController()
  let turn = 0

  async function watch(node: Node): Promise<void> {
    while (!stopping.signal.aborted && nodes.get(node.name) === node) {
      const url = `http://127.0.0.1:${node.managementPort}/health/ready`
      const signal = AbortSignal.timeout(HEALTH_TIMEOUT)
      node.isReady = await fetch(url, { signal }).then(
        async (answer) => {
          await answer.body?.cancel()
          return answer.ok
        },
        () => false,
      )
      await delay(HEALTH_INTERVAL, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  return {
    add: (upstream) => {
      const node: Node = {
        ...upstream,
        agent: new Agent({ keepAlive: true, maxSockets: 64 }),
        isReady: false,
        noteFailure: () => {
          node.isReady = false
        },
      }
      nodes.set(node.name, node)
      void watch(node)
    },
    remove: (name) => {
      nodes.get(name)?.agent.destroy()
      nodes.delete(name)
    },
    isReady: (name) => nodes.get(name)?.isReady ?? false,
    choose: (tried, avoid) => {
      const ready = [...nodes.values()].filter((node) => node.isReady && !tried.has(node.name))
      const others = ready.filter((node) => node.name !== avoid)
      const from = others.length > 0 ? others : ready
      turn += 1
      return from[turn % from.length]
    },
    close: () => {
      stopping.abort()
      for (const { agent } of nodes.values()) agent.destroy()
    },
  }
}
