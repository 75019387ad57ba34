import { join } from 'node:path'
import type { Logger } from 'pino'
import { type Clock, systemClock } from '../src/clock.ts'
import { chooseIssuer } from '../src/config/choose-issuer.ts'
import type { Environment } from '../src/config/environment.ts'
import { loadConfig } from '../src/config/load.ts'
import { rotationPolicies } from '../src/config/policies.ts'
import type { Config } from '../src/config/schema.ts'
import { listen } from '../src/http/listener.ts'
import { type KeyturnServer, startServer } from '../src/server/server.ts'
import { type DemoPerson, resetDemoPerson } from './person.ts'
import { createRelyingParty } from './relying-party.ts'
import { picturesOf } from './ring-picture.ts'

export interface DemoPlaces {
  readonly env: Environment
  /** Port of Keyturn; 3002 by default. */
  readonly serverPort?: number
  /** Port of Keyturn's management listener; a free one by default. */
  readonly managementPort?: number
  /** Port of the application; 3001 by default. */
  readonly appPort?: number
  /** Folder of the database and the key-encryption key; `./data` by default. */
  readonly folder?: string
}

export interface Demo {
  /** URL of the application. */
  readonly url: string
  readonly issuer: string
  readonly person: DemoPerson
  readonly server: KeyturnServer
  close(): Promise<void>
}

/** The configuration of `config/demo.yaml`, with other ports or another folder if given. */
export function demoConfig(places: DemoPlaces): Config {
  const { env, serverPort, managementPort, appPort, folder } = places
  const app = appPort === undefined ? undefined : `http://localhost:${appPort}`
  const moved = {
    KEYTURN_ISSUER: serverPort && `http://localhost:${serverPort}`,
    KEYTURN_HTTP__PORT: serverPort,
    KEYTURN_MANAGEMENT__PORT: managementPort,
    KEYTURN_DATABASE__URL: folder && `sqlite:${join(folder, 'demo.db')}`,
    KEYTURN_SEAL__FILE: folder && join(folder, 'demo-kek.jwks'),
    KEYTURN_CLIENTS__0__REDIRECT_URIS: app && JSON.stringify([`${app}/callback`]),
    KEYTURN_CLIENTS__0__POST_LOGOUT_REDIRECT_URIS: app && JSON.stringify([`${app}/`]),
    KEYTURN_CLIENTS__0__BACKCHANNEL_LOGOUT_URI: app && `${app}/backchannel-logout`,
  }
  const set = Object.entries(moved).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const],
  )
  const file = join(import.meta.dirname, '..', 'config', 'demo.yaml')
  return loadConfig({ file, env: { ...env, ...Object.fromEntries(set) } })
}

/** Starts Keyturn and an application that uses only HTTP and OpenID, like any other application. */
export async function startDemo(
  config: Config,
  { log, clock = systemClock }: { readonly log: Logger; readonly clock?: Clock },
): Promise<Demo> {
  const own = chooseIssuer(config)
  const client = own.clients[0]
  const [callback] = client?.redirect_uris ?? []
  if (!client || typeof callback !== 'string') throw new TypeError('the demo needs its client')
  const { origin: url, port } = new URL(callback)

  const server = await startServer(config, { log, clock })
  try {
    // After the ports are bound, because a second demo must not change the password of the first.
    const person = await resetDemoPerson(config, clock)
    const policies = rotationPolicies(own)
    const app = await createRelyingParty({
      url,
      issuer: own.issuer,
      clientId: client.client_id,
      clientSecret: String(client.client_secret),
      log,
      // The plan of the rings, which an ordinary application cannot know.
      rings: () => picturesOf(server.issuers[0].scheduler.status.view, policies, clock.now()),
    })
    const { host, limits } = config.http
    const listener = await listen(app.handler, { host, port: Number(port), limits })
    app.start()
    return {
      url,
      issuer: own.issuer,
      person,
      server,
      close: async () => {
        await app.stop()
        await listener.close(1)
        await server.close()
      },
    }
  } catch (error) {
    await server.close()
    throw error
  }
}
