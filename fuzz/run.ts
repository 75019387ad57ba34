import type { ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import { PERSON, SECRET } from '../lab/server.ts'
import { gatherMaterial, type Material } from './material.ts'
import { mutate, toBytes } from './mutate.ts'
import { createRandom } from './random.ts'
import { PLANTED, soundRequests } from './requests.ts'
import { startFuzzedServer } from './server.ts'

export interface FuzzOptions {
  readonly requests: number
  readonly seed: number
  /** Called from time to time with the number of requests so far. */
  readonly onProgress?: (sent: number) => void
}

/** Results of a run. */
export interface FuzzReport {
  readonly seed: number
  readonly requests: number
  /** Number of answers by status; 0 for no answer. */
  readonly statuses: Readonly<Record<string, number>>
  /**
   * The first requests that were answered with 500 or more, except for 503 with Retry-After, as
   * sent.
   */
  readonly failures: readonly { readonly status: number; readonly request: string }[]
  readonly hasCrashed: boolean
  /** Bytes of the heap after a forced collection: once warm, and at the end. */
  readonly heap: { readonly warm: number; readonly end: number }
  /** Beginnings of secrets that were found in the log. */
  readonly leaked: readonly string[]
  readonly logBytes: number
  /** Lines of level error and above. */
  readonly errors: readonly string[]
}

/** Requests under way at once. */
const AT_ONCE = 16
/** Requests until new codes, tokens and cookies are fetched. */
const FRESH = 2000
/** Part of the requests that warm the server up. */
const WARM_UP = 0.25
/** Milliseconds for an answer; a request that is incomplete has none. */
const ANSWER_LIMIT = 400
const FAILURES = 20

/** Sends mutated requests to a new server, and checks its answers, log and heap. */
export async function fuzz({ requests, seed, onProgress }: FuzzOptions): Promise<FuzzReport> {
  await using server = await startFuzzedServer()
  const { issuer } = server.config
  const random = createRandom(seed)
  const secrets = new Set<string>([PLANTED, SECRET, PERSON.password])
  const statuses: Record<string, number> = {}
  const failures: { status: number; request: string }[] = []
  const gather = async () => {
    const material = await gatherMaterial(issuer)
    noteSecrets(material, secrets)
    return soundRequests(material)
  }

  let sound = await gather()
  let sent = 0
  /** Sends requests one after another until all senders together have sent `end`. */
  async function sendUntil(end: number): Promise<void> {
    while (sent < end && isRunning(server.child)) {
      sent += 1
      const bytes = toBytes(mutate(random.pick(sound), random), random)
      for (const { status, retryAfter } of await send(issuer, bytes)) {
        statuses[status] = (statuses[status] ?? 0) + 1
        const isBound = status === 503 && retryAfter
        if (status >= 500 && !isBound && failures.length < FAILURES) {
          failures.push({ status, request: bytes.toString('latin1').slice(0, 4000) })
        }
      }
    }
  }

  let warm = 0
  while (sent < requests && isRunning(server.child)) {
    if (sent > 0) sound = await gather()
    const end = Math.min(requests, sent + FRESH)
    await Promise.all(Array.from({ length: AT_ONCE }, () => sendUntil(end)))
    onProgress?.(sent)
    if (warm === 0 && sent >= requests * WARM_UP) warm = await server.heapUsed()
  }
  const hasCrashed = !isRunning(server.child)
  const end = hasCrashed ? 0 : await server.heapUsed()
  const log = server.output()
  return {
    seed,
    requests,
    statuses,
    failures,
    hasCrashed,
    heap: { warm, end },
    leaked: [...secrets].filter((secret) => log.includes(secret)).map((s) => s.slice(0, 12)),
    logBytes: log.length,
    errors: log.split('\n').filter((line) => /^\{"level":[56]0/.test(line)),
  }
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

function noteSecrets(material: Material, secrets: Set<string>): void {
  const { interaction, cookies, verifier: _, ...others } = material
  for (const secret of Object.values(others)) secrets.add(secret)
  for (const cookie of `${cookies}; ${interaction.cookies}`.split('; ')) {
    const value = cookie.slice(cookie.indexOf('=') + 1)
    if (value.length > 10) secrets.add(value)
  }
  secrets.delete('')
}

interface Answer {
  readonly status: number
  readonly retryAfter: boolean
}

/** Sends bytes over a new connection. @returns all answers */
function send(issuer: string, bytes: Buffer): Promise<readonly Answer[]> {
  const { port, hostname } = new URL(issuer)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    socket.setTimeout(ANSWER_LIMIT, () => socket.destroy())
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => resolve(readAnswers(Buffer.concat(chunks).toString('latin1'))))
  })
}

function readAnswers(text: string): readonly Answer[] {
  const heads = [...text.matchAll(/HTTP\/1\.1 (\d{3}) [^\r]*\r\n([\s\S]*?)\r\n\r\n/g)]
  if (heads.length === 0) return [{ status: 0, retryAfter: false }]
  return heads.map(([, status, fields = '']) => ({
    status: Number(status),
    retryAfter: /^retry-after:/im.test(fields),
  }))
}
