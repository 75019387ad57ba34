import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { stringify } from 'yaml'
import { newAccount } from '../src/accounts/new-account.ts'
import { createPasswords } from '../src/accounts/password.ts'
import { type Clock, systemClock } from '../src/clock.ts'
import { loadConfig } from '../src/config/load.ts'
import type { Config } from '../src/config/schema.ts'
import { type KeyturnServer, startServer } from '../src/server/server.ts'
import { openStores } from '../src/server/stores.ts'
import { freePort } from './free-port.ts'
import { type OneIssuerConfig, oneIssuer } from './one-issuer.ts'
import { temporaryFolder } from './temporary.ts'

export const API = 'https://api.example'

/** Secret of all clients, of which there is one of each kind. */
export const SECRET = 'a-secret-of-the-tests-that-is-long-enough'
export const REDIRECT_URI = 'http://localhost:9999/callback'
/** All scopes of `RESOURCES`. */
const ALL = {
  [API]: ['read', 'write'],
  [`${API}/es256`]: ['read'],
  [`${API}/opaque`]: ['read'],
}
const web = {
  resources: ALL,
  refresh_token_rotation: 'always',
  client_secret: SECRET,
  redirect_uris: [REDIRECT_URI],
  post_logout_redirect_uris: ['http://localhost:9999/'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scope: 'openid profile email offline_access',
}
export const CLIENTS = [
  { ...web, client_id: 'web', client_name: 'The shop' },
  { ...web, client_id: 'web-es256', id_token_signed_response_alg: 'ES256' },
  {
    client_id: 'machine',
    client_secret: SECRET,
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
    resources: ALL,
  },
  {
    client_id: 'tv',
    redirect_uris: [],
    response_types: [],
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    resources: ALL,
  },
]

export const RESOURCES = [
  { identifier: API, scopes: ['read', 'write'], algorithm: 'RS256' },
  { identifier: `${API}/es256`, scopes: ['read'], algorithm: 'ES256' },
  { identifier: `${API}/opaque`, scopes: ['read'], tokenFormat: 'opaque' },
]

export const PERSON = { username: 'ada', password: 'correct horse battery staple' }

export interface TestServer extends AsyncDisposable {
  readonly issuer: string
  readonly folder: string
  readonly config: OneIssuerConfig
  readonly server: KeyturnServer
}

export interface TestServerOptions {
  /** Settings that override those of the tests, in the shape of a configuration file. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly clock?: Clock
  /** Path of the issuer. */
  readonly path?: string
  /** Called with the fields of each line of the log. */
  readonly onLogged?: (line: LogLine) => void
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string }

/** The settings of a server under test: its own folder and ports, nothing shared. */
export async function testSettings(
  folder: string,
  settings: Readonly<Record<string, unknown>> = {},
  path = '',
  name = 'keyturn.yaml',
): Promise<OneIssuerConfig> {
  const port = await freePort()
  const file = join(folder, name)
  const text = stringify({
    issuer: `http://localhost:${port}${path}`,
    http: { port, host: 'localhost' },
    management: { port: 0 },
    database: { url: `sqlite:${join(folder, 'keyturn.db')}` },
    seal: { file: join(folder, 'kek.jwks') },
    keyStore: { path: join(folder, 'keys') },
    // The least allowed cost, because sign-ins of tests need not be slow.
    password: { argon2: { memoryKiB: 7168, passes: 1, parallelism: 1 } },
    clients: CLIENTS,
    resources: RESOURCES,
    log: { level: 'silent' },
    ...settings,
  })
  await writeFile(file, text)
  return oneIssuer(loadConfig({ file, env: {} }))
}

/** A whole server in this process, over HTTP, with one person who can sign in. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { clock = systemClock } = options
  const folder = await temporaryFolder()
  try {
    const config = await testSettings(folder.path, options.settings, options.path)
    await addPerson(config, clock)
    const { onLogged } = options
    const log = onLogged
      ? pino({ level: 'info' }, { write: (line: string) => onLogged(JSON.parse(line)) })
      : pino({ level: process.env.KEYTURN_TEST_LOG ?? 'silent' })
    const server = await startServer(config, { log, clock })
    return {
      issuer: config.issuer,
      folder: folder.path,
      config,
      server,
      [Symbol.asyncDispose]: async () => {
        await server.close()
        await folder.remove()
      },
    }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

/** Adds somebody who can sign in at each issuer, which are different people. */
export async function addPerson(config: Config, clock: Clock = systemClock): Promise<void> {
  const stores = await openStores(config, clock)
  const passwords = createPasswords(config.password.argon2)
  const passwordHash = await passwords.hash(PERSON.password)
  for (const { issuer } of config.issuers) {
    const details = {
      username: PERSON.username,
      claims: { name: 'Ada Lovelace', email: 'ada@example.com' },
    }
    const { account } = await newAccount(details, passwords, clock)
    const { accounts } = stores.of(issuer)
    await accounts.add({ ...account, passwordHash, mustChangePassword: false })
  }
  await stores.close()
}
