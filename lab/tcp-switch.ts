import { connect, createServer, type Socket } from 'node:net'

/** A port that leads to a changeable server, like a load balancer for TCP. */
export interface TcpSwitch extends AsyncDisposable {
  readonly port: number
  /** Ends all connections and leads new ones to a port; undefined refuses them. */
  lead(port: number | undefined): void
  /** Passes nothing any more and ends no connection, as behind a lost route. */
  freeze(): void
  thaw(): void
}

/** @param target a port of the loopback */
export async function startTcpSwitch(target: number | undefined): Promise<TcpSwitch> {
  let leadsTo = target
  let isFrozen = false
  const pairs = new Set<readonly [near: Socket, far: Socket]>()
  const waiting = new Set<Socket>()

  const join = (near: Socket) => {
    if (leadsTo === undefined) {
      near.destroy()
      return
    }
    const far = connect(leadsTo, '127.0.0.1')
    const pair = [near, far] as const
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      for (const socket of pair) socket.destroy()
    }
    for (const socket of pair) {
      socket.on('error', end)
      socket.on('close', end)
    }
    near.pipe(far)
    far.pipe(near)
  }
  const server = createServer((near) => {
    near.on('error', () => {})
    if (isFrozen) waiting.add(near)
    else join(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const endAll = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    pairs.clear()
  }
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    lead: (port) => {
      if (port === leadsTo) return
      leadsTo = port
      endAll()
    },
    freeze: () => {
      isFrozen = true
      for (const [near, far] of pairs) {
        near.unpipe(far).pause()
        far.unpipe(near).pause()
      }
    },
    thaw: () => {
      isFrozen = false
      for (const [near, far] of pairs) {
        near.pipe(far)
        far.pipe(near)
      }
      for (const near of waiting) join(near)
      waiting.clear()
    },
    [Symbol.asyncDispose]: async () => {
      for (const near of waiting) near.destroy()
      endAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
