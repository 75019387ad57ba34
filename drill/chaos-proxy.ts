import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from './random.ts'

/** A TCP proxy between a node and a service that can delay, drop and cut connections. */
export interface ChaosProxy extends AsyncDisposable {
  readonly port: number
  /** Holds every packet back for up to this many milliseconds. 0 ends that. */
  delay(most: number): void
  /** Ends all connections. New ones are accepted. */
  drop(): void
  /** Ends all connections and every new one, until `mend`. */
  cut(): void
  mend(): void
}

/** @param target port on this machine */
export async function startChaosProxy(target: number, random: Random): Promise<ChaosProxy> {
  const sockets = new Set<Socket>()
  let most = 0
  let isCut = false

  // No `resetAndDestroy`, because some sockets never close after it, and Node 24 hangs at its exit.
  const reset = () => {
    for (const socket of sockets) socket.destroy()
  }
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const pass = (from: Socket, to: Socket) => {
    let before = Promise.resolve()
    let isHolding = 0
    const send = (packet: Buffer) => {
      if (!to.destroyed) to.write(packet)
    }
    from.on('data', (packet) => {
      const wait = random.between(most / 2, most)
      if (wait === 0 && isHolding === 0) return send(packet)
      // Each packet waits for the one before, so that bytes keep their order as in TCP.
      const held = Promise.all([before, delay(wait)])
      isHolding += 1
      before = held.then(() => {
        isHolding -= 1
        send(packet)
      })
    })
    from.on('close', () => to.destroy())
  }
  const server = createServer((incoming) => {
    keep(incoming)
    if (isCut) {
      incoming.destroy()
      return
    }
    const outgoing = keep(connect(target, '127.0.0.1'))
    pass(incoming, outgoing)
    pass(outgoing, incoming)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    // A server that listens on TCP has an AddressInfo; only pipes have a string.
    port: (server.address() as AddressInfo).port,
    delay: (milliseconds) => {
      most = milliseconds
    },
    drop: reset,
    cut: () => {
      isCut = true
      reset()
    },
    mend: () => {
      isCut = false
    },
    [Symbol.asyncDispose]: async () => {
      reset()
      server.close()
      await once(server, 'close')
    },
  }
}
