import { endWithNpm } from '../src/cli/npm-parent.ts'
import { KeyturnError } from '../src/errors.ts'
import { createLog } from '../src/log.ts'
import { type Demo, demoConfig, startDemo } from './demo.ts'

/** `npm run demo`: Keyturn and an application that trusts it, until Ctrl-C. */

const { DEMO_PORT, DEMO_SERVER_PORT, ...env } = process.env

async function main(): Promise<void> {
  endWithNpm(process.env)
  const stopped = Promise.withResolvers<void>()
  // `on` and not `once`, because npm passes on the Ctrl-C that the terminal has already sent.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopped.resolve())

  const config = demoConfig({
    env,
    ...(DEMO_PORT ? { appPort: Number(DEMO_PORT) } : {}),
    ...(DEMO_SERVER_PORT ? { serverPort: Number(DEMO_SERVER_PORT) } : {}),
  })
  const demo = await startDemo(config, { log: createLog(config.log) })
  process.stdout.write(banner(demo))
  await stopped.promise
  await demo.close()
}

function banner({ url, issuer, person, server }: Demo): string {
  const turns = (server.issuers[0].scheduler.status.view?.states ?? []).flatMap((state) =>
    state.phase === 'active' && state.retiresAt !== null && state.key.ring.startsWith('sig/')
      ? `${localTime(state.retiresAt)}  ${state.key.ring}`
      : [],
  )
  return `
  The Keyturn demo is running. Ctrl-C stops it.

  Open        ${url}
  User name   ${person.username}
  Password    ${person.password}

  Keyturn     ${issuer}
  Keys turn   ${turns.join('\n              ')}
              and every three minutes from then on. Nothing restarts, no token fails.

`
}

function localTime(at: number): string {
  return new Date(at * 1000).toLocaleTimeString('en-GB')
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${reason(error)}\n`)
  process.exitCode = 1
}

function reason(error: unknown): string {
  if (error instanceof KeyturnError) return error.message
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    return `${error.message}. Is the demo running already? DEMO_PORT and DEMO_SERVER_PORT name other ports.`
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
