import { pino } from 'pino'
import { type Demo, demoConfig, startDemo } from '../../demo/demo.ts'
import { freePort } from '../../lab/free-port.ts'
import { type OneIssuerConfig, oneIssuer } from '../../lab/one-issuer.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { rotationPolicies } from '../../src/config/policies.ts'
import { orderRotation } from '../../src/ring/orders.ts'
import { createRings } from '../../src/ring/rings.ts'
import { openStores } from '../../src/server/stores.ts'

/** The demo on ports and in a folder of its own, with what a test does to it. */
export interface TestDemo extends Demo, AsyncDisposable {
  readonly config: OneIssuerConfig
  /** Moves Keyturn's clock forward; the ring follows before this resolves. */
  advance(seconds: number): Promise<void>
  /** What `keyturn keys rotate` does, through connections of its own. */
  rotate(ring: string): Promise<void>
  /** The kids in the JWKS, as anybody can see them. */
  publishedKids(): Promise<readonly string[]>
}

export async function startTestDemo(): Promise<TestDemo> {
  const folder = await temporaryFolder()
  const clock = movableClock()
  try {
    const config = oneIssuer(
      demoConfig({
        env: {},
        serverPort: await freePort(),
        appPort: await freePort(),
        managementPort: 0,
        folder: folder.path,
      }),
    )
    const log = pino({ level: process.env.KEYTURN_TEST_LOG ?? 'silent' })
    const demo = await startDemo(config, { log, clock })
    const { scheduler } = demo.server.issuers[0]
    return {
      ...demo,
      config,
      async advance(seconds) {
        clock.advance(seconds)
        await scheduler.runOnce()
      },
      async rotate(ring) {
        await orderFromOutside(config, clock, ring)
        await scheduler.runOnce()
      },
      async publishedKids() {
        const response = await fetch(`${config.issuer}/jwks`)
        // The cast says what an RFC 7517 JWK Set is.
        const { keys } = (await response.json()) as { keys: readonly { kid: string }[] }
        return keys.map((key) => key.kid)
      },
      [Symbol.asyncDispose]: async () => {
        await demo.close()
        await folder.remove()
      },
    }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

async function orderFromOutside(
  config: OneIssuerConfig,
  clock: Clock,
  ring: string,
): Promise<void> {
  const stores = (await openStores(config, clock)).of(config.issuer)
  try {
    const rings = createRings({ store: stores.keys, sealer: await stores.openSealer() })
    const facts = await rings.load()
    const order = { ring, now: clock.now(), actor: 'test', reason: 'to see what happens' }
    const action = orderRotation(facts, rotationPolicies(config), order)
    await rings.apply(action, facts)
  } finally {
    await stores.close()
  }
}

/** The system's clock, moved forward. */
function movableClock(): Clock & { advance(seconds: number): void } {
  let ahead = 0
  return {
    ...systemClock,
    now: () => systemClock.now() + ahead,
    advance: (seconds) => {
      ahead += seconds
    },
  }
}
