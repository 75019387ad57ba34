import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { OneIssuerConfig } from '../lab/one-issuer.ts'
import { addPerson, testSettings } from '../lab/server.ts'
import { temporaryFolder } from '../lab/temporary.ts'

/** The server under test: a process of its own, with SQLite in a temporary folder. */
export interface FuzzedServer extends AsyncDisposable {
  readonly config: OneIssuerConfig
  readonly child: ChildProcess
  /** All output so far. */
  output(): string
  /** Bytes of the heap after a forced collection. */
  heapUsed(): Promise<number>
}

const root = join(import.meta.dirname, '..')

/** @param settings that override those of the tests */
export async function startFuzzedServer(settings: object = {}): Promise<FuzzedServer> {
  const folder = await temporaryFolder()
  const config = await testSettings(folder.path, {
    log: { level: 'debug', format: 'json' },
    // High limits, because wrong passwords are part of the fuzzing and valid sign-ins must still
    // work.
    signIn: { perAccountAndAddress: 1_000_000, perAddress: 1_000_000, perAccount: 1_000_000 },
    ...settings,
  })
  await addPerson(config)
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(KEYTURN_|NODE_)/.test(name)),
  )
  const child = spawn(
    process.execPath,
    [
      '--expose-gc',
      ...['--import', join(root, 'fuzz/heap-probe.ts')],
      ...[join(root, 'src/cli.ts'), 'serve', '--config', join(folder.path, 'keyturn.yaml')],
    ],
    { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  )
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk) => chunks.push(chunk))
  child.stderr?.on('data', (chunk) => chunks.push(chunk))
  const ended = once(child, 'close')
  const output = () => Buffer.concat(chunks).toString()
  while (!(await isUp(config.issuer))) {
    if (child.exitCode !== null) throw new Error(`the server did not start:\n${output()}`)
  }
  return {
    config,
    child,
    output,
    heapUsed: async () => {
      child.send('heap')
      const [{ heapUsed }] = await once(child, 'message')
      return heapUsed
    },
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await ended
      await folder.remove()
    },
  }
}

async function isUp(issuer: string): Promise<boolean> {
  try {
    return (await fetch(`${issuer}/jwks`)).ok
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50))
    return false
  }
}
