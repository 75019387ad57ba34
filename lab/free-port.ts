import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Ports below those that systems give to outgoing connections (Linux: from 32,768), and above those
 * that `fetch` and browsers refuse, of which 10,080 is the last (WHATWG Fetch, "port blocking").
 */
const PORTS = { first: 10_081, end: 32_000 }

/**
 * A free TCP port for this process alone: no connection and no other test gets it by chance, even
 * while nothing listens on it, so that a server can be stopped and started again there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.first, PORTS.end)
    if ((await reserve(port)) && (await isFree(port))) return port
  }
}

/**
 * Reserves a port until this process ends, however it ends, by the UDP port of the same number,
 * because only one process can bind that and nothing here uses it otherwise.
 */
async function reserve(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  try {
    socket.bind({ port, address: '127.0.0.1', exclusive: true })
    await once(socket, 'listening')
  } catch {
    return false
  }
  socket.unref()
  return true
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, 'localhost')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
