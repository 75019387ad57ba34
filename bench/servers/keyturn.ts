import { performance } from 'node:perf_hooks'
import { setImmediate as breathe } from 'node:timers/promises'
import { newAccount } from '../../src/accounts/new-account.ts'
import { createPasswords, DEFAULT_ARGON2 } from '../../src/accounts/password.ts'
import { systemClock } from '../../src/clock.ts'
import { chooseIssuer } from '../../src/config/choose-issuer.ts'
import { loadConfig } from '../../src/config/load.ts'
import { rotationPolicies } from '../../src/config/policies.ts'
import { createAuthentic } from '../../src/database/authentic.ts'
import { openDatabase } from '../../src/database/database.ts'
import { openSqliteArtifacts } from '../../src/database/sqlite-artifacts.ts'
import { clientSchema } from '../../src/database/tables.ts'
import { createLog } from '../../src/log.ts'
import { createFindAccount, createInteractionPolicy } from '../../src/oidc/account.ts'
import { createCurrentProvider } from '../../src/oidc/current-provider.ts'
import { providerAdapters } from '../../src/oidc/outage.ts'
import { providerSettings } from '../../src/oidc/settings.ts'
import { createUsedUp } from '../../src/oidc/used-up.ts'
import { generateKey } from '../../src/ring/generate.ts'
import { startServer } from '../../src/server/server.ts'
import { openStores } from '../../src/server/stores.ts'
import { serveCommands } from '../child.ts'
import { createProfileCommands } from '../profile.ts'
import { CHEAPEST_ARGON2, CLIENT, PERSON } from '../setting.ts'
import { readUsage } from '../usage.ts'
import { EXTRA_RING, setStore, showExtraKey } from './key-store.ts'

/**
 * Keyturn as `keyturn serve` starts it, on a config file whose key store is `key-store.ts`, with
 * one person and a given number of further clients.
 */

const [file = '', clients = '0'] = process.argv.slice(2)
const config = loadConfig({ file, env: {} })
const own = chooseIssuer(config)
const passwords = createPasswords(config.password.argon2)

const opened = await openStores(
  { ...config, keyStore: { ...config.keyStore, type: 'database' } },
  systemClock,
)
const stores = opened.of(own.issuer)
const authentic = createAuthentic({
  issuer: own.issuer,
  openSecret: async () => (await stores.openSecret()).of(own.issuer),
  onForgery: () => {},
})
await addPerson()
await addClients(Number(clients))
await addExtraKey()
setStore(stores.keys)

const log = createLog(config.log)
const server = await startServer(config, { log })
let isShown = false

serveCommands(Number(new URL(server.url).port), {
  usage: readUsage,
  ...createProfileCommands(),

  /** Changes the published set and lets the scheduler notice. @returns milliseconds */
  turn: async () => {
    isShown = !isShown
    showExtraKey(isShown)
    const startedAt = performance.now()
    await server.issuers[0].scheduler.runOnce()
    return performance.now() - startedAt
  },

  /** @returns milliseconds of each swap of the provider */
  swaps: timeSwaps,

  /** @returns milliseconds of one check of a password, one after another */
  passwords: async () => ({
    cheapest: await timePassword(CHEAPEST_ARGON2),
    standard: await timePassword(DEFAULT_ARGON2),
  }),
})

async function timeSwaps(count: number): Promise<readonly number[]> {
  const { view } = server.issuers[0].scheduler.status
  if (!view) throw new TypeError('the scheduler has no view')
  const place = openSqliteArtifacts(config.database, systemClock)
  const settings = providerSettings(own)
  const current = createCurrentProvider({
    issuer: own.issuer,
    adapter: providerAdapters(place.of(authentic).adapter, createUsedUp(systemClock, log)),
    grantHandler: (_grantType, handler) => handler,
    policies: rotationPolicies(own),
    profile: config.profile,
    authorize: () => undefined,
    settings: {
      ...settings,
      findAccount: createFindAccount(stores.accounts),
      interactions: { policy: createInteractionPolicy() },
      features: { ...settings.features, deviceFlow: { enabled: true } },
    },
  })
  const times: number[] = []
  // The first half warms up.
  for (let index = 0; index < 2 * count; index += 1) {
    const startedAt = performance.now()
    current.swap(view)
    if (index >= count) times.push(performance.now() - startedAt)
    await breathe()
  }
  await place.close()
  return times
}

async function timePassword(parameters: typeof DEFAULT_ARGON2): Promise<number> {
  const { hash, verify } = createPasswords(parameters)
  const stored = await hash(PERSON.password)
  const times: number[] = []
  for (let index = 0; index < 21; index += 1) {
    const startedAt = performance.now()
    await verify(PERSON.password, stored)
    times.push(performance.now() - startedAt)
  }
  return times.sort((a, b) => a - b)[10] ?? NaN
}

async function addPerson(): Promise<void> {
  const { account } = await newAccount({ username: PERSON.username }, passwords, systemClock)
  const passwordHash = await passwords.hash(PERSON.password)
  await stores.accounts.add({ ...account, passwordHash, mustChangePassword: false })
}

/** All in one transaction, unlike clients that an operator adds. */
async function addClients(count: number): Promise<void> {
  const { clients: authenticRows } = await authentic.open()
  const rows = Array.from({ length: count }, (_, index) =>
    authenticRows.toRow(
      { ...CLIENT, client_id: `client-${index}` },
      { source: 'operator', updatedAt: 0 },
    ),
  )
  const dataSource = await openDatabase(config.database)
  await dataSource.transaction(async (manager) => {
    for (let from = 0; from < rows.length; from += 500) {
      await manager.insert(clientSchema, rows.slice(from, from + 500))
    }
  })
  await dataSource.destroy()
}

async function addExtraKey(): Promise<void> {
  const sealer = await stores.openSealer()
  const { kid, jwk } = await generateKey('ES384')
  const now = systemClock.now()
  const facts = { kid, ring: EXTRA_RING, generation: 1, algorithm: 'ES384' }
  const times = { createdAt: now, activatesAt: now, retention: 86_400 }
  await stores.keys.addKey(await sealer.seal({ ...facts, ...times }, jwk, []))
}
