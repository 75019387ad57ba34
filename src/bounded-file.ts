import {
  close,
  closeSync,
  constants,
  createReadStream,
  fstat,
  open,
  openSync,
  readSync,
} from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'

/**
 * Reads a file that somebody names, which may be no file, larger than memory, or a pipe that nobody
 * writes to.
 */

/** Seconds until a pipe must have something to read. */
const PATIENCE = 15

const opened = promisify(open)
const statusOf = promisify(fstat)
const closed = promisify(close)

/**
 * Reads a file, or what a program writes into a pipe, as shells make one of `<(program)`.
 * @returns undefined where there are more bytes than that
 * @throws what the system says (`ENOENT`, `EACCES`, `EISDIR` and others), and an error for a device
 */
export async function readBounded(path: string, max: number): Promise<Uint8Array | undefined> {
  // Otherwise a pipe that nobody writes to would hold this thread up for good.
  const descriptor = await opened(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const status = await statusOf(descriptor)
  if (status.isFIFO()) return bounded(pipe(descriptor), max)
  if (status.isFile() && status.size <= max) {
    // One more than the bound tells that the file has grown meanwhile.
    return bounded(createReadStream('', { fd: descriptor, end: max }), max)
  }
  await closed(descriptor)
  if (status.isFile()) return undefined
  if (status.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' })
  throw new Error('it is no file.')
}

/**
 * Reads a file, a pipe or a device like `readBounded`, for settings, which a start waits for.
 * @returns undefined where there are more bytes than that
 * @throws what the system says
 */
export function readBoundedSync(path: string, max: number): Buffer | undefined {
  const descriptor = openSync(path, 'r')
  try {
    const chunks: Buffer[] = []
    for (let size = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK)
      const read = readSync(descriptor, chunk)
      if (read === 0) return Buffer.concat(chunks)
      size += read
      if (size > max) return undefined
      chunks.push(chunk.subarray(0, read))
    }
  } finally {
    closeSync(descriptor)
  }
}

/** Bytes that are read at once. */
const CHUNK = 64 * 1024

/**
 * Reads a text file of Keyturn's own, in whose place may be anything else.
 * @throws what the system says, and an error for a device or for more bytes than that
 */
export async function readBoundedText(path: string, max: number): Promise<string> {
  const bytes = await readBounded(path, max)
  if (!bytes) throw new Error(`it has more than ${max} bytes`)
  return Buffer.from(bytes).toString('utf8')
}

function pipe(descriptor: number): Readable {
  const socket = new Socket({ fd: descriptor, readable: true, writable: false })
  const patience = PATIENCE * 1000
  return socket.setTimeout(patience, () =>
    socket.destroy(new Error(`nobody has written to this pipe for ${PATIENCE} s.`)),
  )
}

async function bounded(stream: Readable, max: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size > max) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
