import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { killAtExit } from '../../lab/leftovers.ts'
import type { OneIssuerConfig } from '../../lab/one-issuer.ts'
import { receiving } from '../../lab/passed-socket.ts'

const CLI = join(import.meta.dirname, '../../src/cli.ts')

export interface ServerProcess {
  readonly child: ChildProcess
  /** Everything it wrote so far. */
  output(): string
  /** Sends a signal and waits for the end. @returns the exit status, or the name of the signal */
  stop(signal?: NodeJS.Signals): Promise<number | string>
  /** Resolves when it has ended. */
  readonly ended: Promise<number | string>
}

interface SpawnOptions {
  readonly uid?: number
  /** Descriptor of a listening socket that is passed to the server. */
  readonly socket?: number
}

/** A real server as an operator starts it: `keyturn serve`, in a process of its own. */
export function spawnServer(
  configFile: string,
  { socket, ...options }: SpawnOptions = {},
): ServerProcess {
  // Nothing of the caller's own settings may leak into the server under test.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('KEYTURN_')),
  )
  const command = [process.execPath, CLI, 'serve', '--config', configFile] as const
  const [program, ...args] = socket === undefined ? command : receiving(command)
  const child = spawn(program, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe', ...(socket === undefined ? [] : [socket])],
    ...options,
  })
  killAtExit(child)
  let output = ''
  const note = (chunk: Buffer) => {
    output += chunk
  }
  // Two pipes, whose type the compiler does not infer from a list of varying length.
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', note)
  const ended = once(child, 'close').then(([status, signal]) => status ?? signal)
  return {
    child,
    output: () => output,
    ended,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal)
      return ended
    },
  }
}

/** Waits until the server answers. @throws with its output if it ends instead */
export async function untilReady(
  server: ServerProcess,
  { issuer, http: { port } }: OneIssuerConfig,
): Promise<void> {
  // The issuer may be the name of several servers, each on a port of its own.
  const jwks = new URL(`${issuer}/jwks`)
  jwks.port = String(port)

  let isOver = false
  const ended = server.ended.then((status) => {
    isOver = true
    throw new Error(`the server ended with ${status}:\n${server.output()}`)
  })
  const answers = (async () => {
    while (!isOver) {
      const answer = await fetch(jwks).catch(() => undefined)
      if (answer?.ok) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  await Promise.race([answers, ended])
}
