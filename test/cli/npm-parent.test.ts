import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { freePort } from '../../lab/free-port.ts'
import { temporaryFolder } from '../../lab/temporary.ts'

const ROOT = join(import.meta.dirname, '../..')

/** A server that npm started, perhaps with a shell in between. */
async function startedBy(command: string, args: readonly string[], address: RegExp) {
  const folder = await temporaryFolder()
  const inherited = Object.entries(process.env).filter(([name]) => !/^(KEYTURN|npm)_/.test(name))
  const child = spawn(command, args, {
    cwd: ROOT,
    // A process group of its own, so that a failed test can end whatever is left of it.
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...Object.fromEntries(inherited),
      DEMO_PORT: `${await freePort()}`,
      DEMO_SERVER_PORT: `${await freePort()}`,
      // The demo sets its own.
      ...(args.includes('demo') ? {} : { KEYTURN_HTTP__PORT: '0' }),
      KEYTURN_MANAGEMENT__PORT: '0',
      KEYTURN_DATABASE__URL: `sqlite:${folder.path}/keyturn.db`,
      KEYTURN_SEAL__FILE: `${folder.path}/kek.jwks`,
      KEYTURN_LOG__LEVEL: 'silent',
    },
  })
  const ended = once(child, 'exit')
  let output = ''
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk
    if (address.test(output)) break
  }
  child.stdout.resume()
  const url = address.exec(output)?.[1] ?? assert.fail(`it does not serve:\n${output}`)
  const answers = () =>
    fetch(url, { headers: { connection: 'close' } }).then(
      () => true,
      () => false,
    )
  return {
    /** Sends a signal to npm alone, as a supervisor does that knows only npm's pid. */
    kill: async (signal: NodeJS.Signals) => {
      child.kill(signal)
      await ended
    },
    answers,
    untilSilent: async () => {
      while (await answers()) await new Promise((resolve) => setTimeout(resolve, 20))
    },
    [Symbol.asyncDispose]: async () => {
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL')
      } catch {
        // Nothing is left of it, as it should be.
      }
      await folder.remove()
    },
  }
}

const HEALTH = /Health +(http\S+)/
const DEMO = /Open +(http\S+)/

describe('a server that npm started', () => {
  const cases = [
    ['npm start', 'SIGTERM', HEALTH],
    ['npm start', 'SIGINT', HEALTH],
    ['npm run keyturn -- serve', 'SIGTERM', HEALTH],
    ['npm run demo', 'SIGTERM', DEMO],
  ] as const
  for (const [line, signal, address] of cases) {
    it(`has stopped when npm has ended after ${signal}: ${line}`, async () => {
      const [command = '', ...args] = line.split(' ')
      await using program = await startedBy(command, args, address)
      assert.ok(await program.answers())
      await program.kill(signal)
      assert.equal(await program.answers(), false, 'npm waits for the server that it told to stop')
    })
  }

  const lost = [
    ['npm start', 'SIGHUP'],
    ['npm start', 'SIGKILL'],
    // npx has a shell between, which nobody can ask to step aside.
    ['npx node src/cli.ts serve', 'SIGTERM'],
  ] as const
  for (const [line, signal] of lost) {
    it(`stops soon after npm died of ${signal}: ${line}`, async () => {
      const [command = '', ...args] = line.split(' ')
      await using program = await startedBy(command, args, HEALTH)
      assert.ok(await program.answers())
      await program.kill(signal)
      await program.untilSilent()
    })
  }
})

describe('package.json', () => {
  it('has no shell between npm and a long-running program', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const programs = Object.entries(scripts).filter(([, script]) => /\bnode\b/.test(script))
    assert.ok(programs.length >= 6)
    for (const [name, script] of programs)
      assert.match(script, /^exec (env (\S+=\S+ )+)?node /, name)
  })
})
