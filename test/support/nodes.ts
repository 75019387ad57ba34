import { pino } from 'pino'
import type { OneIssuerConfig } from '../../lab/one-issuer.ts'
import { addPerson, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { startServer } from '../../src/server/server.ts'

/** A line of the log. */
export type Line = Readonly<Record<string, unknown>>

export interface TestNodes extends AsyncDisposable {
  readonly issuer: string
  readonly folder: string
  readonly config: OneIssuerConfig
  /** Where each node listens. */
  readonly urls: readonly [string, string]
  readonly clock: Clock
  /** What both have logged so far. */
  readonly lines: readonly Line[]
  /** Lets seconds go by, for the nodes and their stores; what oidc-provider reads is the system's clock. */
  pass(seconds: number): void
}

/** Two whole servers in this process on one store, with one person who can sign in at the first. */
export async function startTestNodes(
  settings: Readonly<Record<string, unknown>> = {},
): Promise<TestNodes> {
  let passed = 0
  const clock: Clock = {
    now: () => Math.floor(systemClock.exact() + passed),
    exact: () => systemClock.exact() + passed,
    elapsed: () => systemClock.elapsed() + passed,
    sleep: systemClock.sleep,
  }
  const lines: Line[] = []
  const log = pino({ level: 'info' }, { write: (text) => void lines.push(JSON.parse(text)) })
  const folder = await temporaryFolder()
  const opened = new AsyncDisposableStack()
  opened.defer(folder.remove)
  try {
    // Neither compares its clock with the database's while the test lets time go by.
    const rotation = { refreshInterval: '30m' }
    const config = await testSettings(folder.path, { rotation, ...settings })
    await addPerson(config, clock)
    const start = async (port: number) => {
      const server = await startServer(
        { ...config, http: { ...config.http, port } },
        { log, clock },
      )
      opened.defer(server.close)
      return server.url
    }
    const urls = [await start(config.http.port), await start(0)] as const
    return {
      issuer: config.issuer,
      folder: folder.path,
      config,
      urls,
      clock,
      lines,
      pass: (seconds) => {
        passed += seconds
      },
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}
