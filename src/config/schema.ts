import { z } from 'zod'
import { usernameProblem } from '../accounts/username.ts'
import { clientSchema, refreshTokenRotation } from '../clients/properties.ts'
import { databaseUrlProblem } from '../connection/database-url.ts'
import { redisUrlProblem } from '../connection/redis-url.ts'
import { SIGNATURE_ALGORITHMS } from '../ring/algorithms.ts'
import { COOKIE_RING, signatureRing } from '../ring/policy.ts'
import { duration, durationOrAuto } from '../values/duration.ts'
import { isLoopback } from '../values/loopback.ts'
import { colorProblem, nameProblem, proseProblem, scopeProblem, textBy } from '../values/text.ts'
import {
  hostPortProblem,
  hostProblem,
  issuerRule,
  linkProblem,
  resourceProblem,
} from '../values/uri.ts'

/**
 * Every setting, once: validation, description, TypeScript type and JSON Schema come from here;
 * defaults are in `config/default.yaml`. Rules that tie settings to each other are in `bounds.ts`.
 *
 * An `error` text completes the sentence "it must be ...". `writeOnly` (JSON Schema's word) marks
 * a secret, whose value is never shown.
 */

/** All algorithms a signing ring can have. */
const algorithm = z.enum(Object.keys(SIGNATURE_ALGORITHMS) as (keyof typeof SIGNATURE_ALGORITHMS)[])

/** All names a ring can have in the configuration. */
const RING_NAMES = [...algorithm.options.map(signatureRing), COOKIE_RING] as const

const text = () => textBy(nameProblem)
const host = () => textBy(hostProblem)
const secret = <T extends z.ZodType>(schema: T) => schema.meta({ writeOnly: true })
const port = () => z.int().min(0).max(65_535)

const issuer = textBy(issuerRule(isLoopback))

/** Shown without its password (`secret.ts`). */
const uri = { format: 'uri' } as const

/** What a URL parser mends in silence is refused as well: blanks, and capitals in the scheme. */
const serverUrl = (problemOf: (url: string) => string | undefined) =>
  textBy((url) => {
    const scheme = url.slice(0, url.indexOf(':'))
    // The path of a file may have blanks inside, a URL has none.
    const isMended =
      nameProblem(url) !== undefined ||
      scheme !== scheme.toLowerCase() ||
      (scheme !== 'sqlite' && /\s/.test(url))
    const expected = problemOf(isMended ? '' : url)
    return expected === undefined ? undefined : { expected }
  }).meta(uri)

const databaseUrl = serverUrl(databaseUrlProblem)
const redisUrl = serverUrl(redisUrlProblem)

const hostPort = textBy(hostPortProblem)

const limits = z.strictObject({
  connections: z.int().min(10).max(1_000_000).describe('Connections to one process at once.'),
  requestsPerConnection: z
    .int()
    .min(1)
    .max(10_000)
    .describe('Requests of one connection that may wait for their answers.'),
  requests: z.int().min(10).max(100_000).describe('Requests that one process works on at once.'),
  unread: duration({ max: 3600 }).describe('How long a client may leave an answer unread.'),
  headerSize: z
    .int()
    .min(8_192)
    .max(1_048_576)
    .describe('Bytes of a request line and its header fields.'),
  headerTime: duration({ max: 600 }).describe('Time to send them.'),
  requestTime: duration({ max: 3600 }).describe('Time to send a whole request.'),
  keepAlive: duration({ max: 3600 }).describe('How long an idle connection stays open.'),
  parameters: z.int().min(20).max(1000).describe('Parameters in a query or form.'),
  parameterLength: z.int().min(256).max(32_768).describe('Characters of one parameter.'),
  jwtLength: z.int().min(1024).max(49_152).describe('Characters of one that holds a JWT.'),
})

const http = z.strictObject({
  host: host().describe('Address the public listener binds; 0.0.0.0 or :: for all.'),
  port: port().describe('Port of the public listener; 0 takes a free one.'),
  trustedProxies: z
    .int()
    .min(0)
    .describe('Reverse proxies in front, whose X-Forwarded-For is believed.'),
  shutdownDelay: duration({ min: 0, max: 600 }).describe(
    'Time between "not ready" and the end of listening at shutdown.',
  ),
  shutdownTimeout: duration({ max: 600 }).describe('Time for open requests to end at shutdown.'),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(256)], {
      error: 'a number from 1 to 256, or auto',
    })
    .describe('Processes that answer on the port; auto is one for each processor core.'),
  limits: limits.describe('What clients may cost.'),
})

const outgoing = z.strictObject({
  backchannelLogout: z
    .boolean()
    .describe('Are clients told of a sign-out (Back-Channel Logout 1.0)?'),
  privateNetworks: z
    .boolean()
    .describe('May requests to clients (jwks_uri, back-channel logout) go to private addresses?'),
})

const management = z.strictObject({
  host: host().describe('Address of the management listener (health and metrics).'),
  port: port().describe('Port of the management listener; 0 takes a free one.'),
  hosts: z
    .array(host())
    .describe('Host names it may be asked by, besides IP addresses, localhost and its own host.'),
  readiness: z
    .enum(['lenient', 'strict'])
    .describe('strict: not ready as soon as the database or Redis fails.'),
})

const database = z.strictObject({
  url: databaseUrl.describe('sqlite:PATH, relative to the working directory, or a server.'),
  connections: z.int().min(2).max(1000).describe('Most connections of one process to a server.'),
  timeout: duration({ max: 60 }).describe('Longest wait for a database server to answer.'),
  consistency: z
    .enum(['cluster', 'node'])
    .describe('In a Galera cluster: does a node wait for what others confirmed before it reads?'),
  durability: z
    .enum(['relaxed', 'full'])
    .describe('Do sessions and tokens wait for the disk and a synchronous standby, as keys do?'),
})

const redis = z.strictObject({
  url: redisUrl.nullable().describe('Keeps what expires; null leaves it in the database.'),
  cluster: z.array(hostPort).describe('Some nodes of a Redis Cluster, instead of the host of url.'),
  sentinels: z.array(hostPort).describe('Redis Sentinels, instead of the host of url.'),
  master: text().describe('Name of the master that the Sentinels watch.'),
  prefix: text().describe('Begins every key and channel, so that deployments can share a server.'),
  timeout: duration({ max: 60 }).describe('Longest wait for Redis to answer.'),
})

const keyStore = z.strictObject({
  type: z
    .enum(['database', 'file', 'module', 'memory'])
    .describe('Where signing keys are kept; memory forgets them at exit.'),
  path: text().describe('Directory of keys, for type file.'),
  module: text().nullable().describe('ES module that exports createKeyStore, for type module.'),
})

const seal = z.strictObject({
  protector: z
    .enum(['file', 'environment'])
    .describe('Where the key-encryption keys that seal signing keys come from.'),
  file: text().describe('JWK Set of key-encryption keys, newest first, for protector file.'),
  keys: secret(
    z.string().nullable().describe('Key-encryption keys themselves, for protector environment.'),
  ),
})

const ringOverrides = z.strictObject({
  cryptoperiod: duration().optional().describe('Overrides rotation.cryptoperiod.'),
  propagation: duration().optional().describe('Overrides rotation.propagation.'),
  retention: durationOrAuto().optional().describe('Overrides rotation.retention.'),
  standby: z.boolean().optional().describe('Overrides rotation.standby.'),
  archive: duration({ min: 0 }).optional().describe('Overrides rotation.archive.'),
  manual: z
    .boolean()
    .optional()
    .describe('Makes and switches no key by itself; keys plan says what to do and when.'),
})

/** `sig/RS256:` with nothing after it is how people write a ring without overrides in YAML. */
const ring = z.codec(ringOverrides.nullable(), z.custom<z.output<typeof ringOverrides>>(), {
  decode: (overrides) => overrides ?? {},
  encode: (overrides) => overrides,
})

const rotation = z.strictObject({
  cryptoperiod: duration().describe('How long a key is meant to sign.'),
  propagation: duration().describe('How long a key is published before it signs.'),
  retention: durationOrAuto().describe('How long a retired key stays published.'),
  standby: z.boolean().describe('Publish the successor as soon as its predecessor is active.'),
  archive: duration({ min: 0 }).describe('How long public halves are kept for id_token_hint.'),
  jwksMaxAge: duration().describe('Longest time an HTTP cache may keep the JWKS.'),
  staleWhileRevalidate: duration({ min: 0 }).describe('stale-while-revalidate of the JWKS.'),
  staleIfError: duration({ min: 0 }).describe('stale-if-error of the JWKS.'),
  rareKeys: z
    .enum(['listed', 'apart'])
    .describe(
      'Where keys of types other than RSA and EC stand: in the JWKS, or at /jwks/all only.',
    ),
  discoveryMaxAge: duration({ min: 0 }).describe('Cache time of the discovery document.'),
  refreshInterval: duration().describe('How often a node loads the keys from the store.'),
  maxRingAge: duration({ min: 2 }).describe('Oldest keys a node may sign with.'),
  clockSkew: duration({ min: 0 }).describe('Largest difference of a node clock from true time.'),
  witness: text().describe(
    'What remembers revocations outside the database: auto, redis, none or FILE.',
  ),
  rings: z
    .partialRecord(z.enum(RING_NAMES), ring)
    .describe('Rings by name, with what they override; a file that gives this map replaces it.'),
})

/** Seconds that oidc-provider gives a pushed authorization request. */
const PUSHED_REQUEST = 60

const tokens = z.strictObject({
  accessToken: duration().describe('Access tokens of a signed-in person.'),
  idToken: duration().describe('ID tokens.'),
  authorizationCode: duration({ max: 600 }).describe('Authorization codes (RFC 6749: <= 10m).'),
  clientCredentials: duration().describe('Access tokens a client gets for itself.'),
  deviceCode: duration().describe('Device codes.'),
  refreshToken: duration().describe('Refresh tokens.'),
  refreshReuseLeeway: duration({ min: 0, max: 60 }).describe(
    'How long a refresh token that was replaced gets its answer again; 0s for not at all.',
  ),
  refreshTokenRotation: refreshTokenRotation.describe(
    'When a refresh gives another refresh token; public clients without DPoP always get one.',
  ),
  grant: duration().describe('Grants, on which refresh tokens depend.'),
  interaction: duration().describe('Time to sign in and consent.'),
  session: duration().describe('Sign-in sessions.'),
  pushedAuthorizationRequest: duration({ max: PUSHED_REQUEST }).describe(
    'Pushed authorization requests (RFC 9126).',
  ),
  signedAuthorizationResponses: z
    .boolean()
    .describe('May clients get their codes in signed responses (JARM), which are good for 2m?'),
  clockTolerance: duration({ min: 0, max: 300 }).describe(
    'How far the clock of a client that signs a JWT may be from true time.',
  ),
})

const resource = z.strictObject({
  identifier: textBy(resourceProblem).describe(
    'Resource indicator (RFC 8707) that clients ask for.',
  ),
  name: textBy(proseProblem).optional().describe('Shown when a person is asked for consent.'),
  scopes: z.array(textBy(scopeProblem)).describe('Scopes that clients may ask for.'),
  scopeDescriptions: z
    .record(textBy(scopeProblem), textBy(proseProblem))
    .default({})
    .describe('What each scope lets a client do, completing "asks to ...".'),
  tokenFormat: z.enum(['jwt', 'opaque']).default('jwt').describe('Format of access tokens.'),
  algorithm: algorithm.default('RS256').describe('Signs JWT access tokens; needs a ring.'),
  tokenLifetime: duration()
    .optional()
    .describe('Instead of tokens.accessToken, and of tokens.clientCredentials where shorter.'),
  typ: z
    .enum(['at+jwt', 'JWT'])
    .default('at+jwt')
    .describe('typ of JWT access tokens: RFC 9068, or JWT for verifiers that know no other.'),
  audience: text().optional().describe('Their aud, instead of the identifier.'),
})

const attempts = () => z.int().min(1)
const attemptsOrAuto = () =>
  z.union([z.literal('auto'), attempts()], { error: 'a whole number of at least 1, or auto' })
const networkAttempts = () => ({
  perAddress: attempts().describe('Failures from one address: IPv4 /32, IPv6 /64.'),
  perSite: attemptsOrAuto().describe('Failures from one IPv6 /56.'),
  perNetwork: attemptsOrAuto().describe('Failures from one network: IPv4 /24, IPv6 /48.'),
})
const attemptWindow = () =>
  duration({ max: 86_400 }).describe('Time in which failures are counted.')
const signIn = z.strictObject({
  perAccountAndAddress: attempts().describe('Failures of one account from one address.'),
  perAccountAndSite: attemptsOrAuto().describe('Failures of one account from one IPv6 /56.'),
  perAccountAndNetwork: attemptsOrAuto().describe(
    'Failures of one account from one /24 or IPv6 /48.',
  ),
  perAccount: attempts().describe('Failures of one account.'),
  ...networkAttempts(),
  perKnownBrowser: attempts().describe('Failures of one account in a browser that knows it.'),
  window: attemptWindow(),
  knownBrowser: duration({ min: 0, max: 34_560_000 }).describe(
    'How long a browser is known by a sign-in; 0s knows none.',
  ),
  clientSecrets: z
    .strictObject({
      perClientAndAddress: attempts().describe('Failures of one client from one address.'),
      perClientAndSite: attemptsOrAuto().describe('Failures of one client from one IPv6 /56.'),
      perClientAndNetwork: attemptsOrAuto().describe('The same from one /24 or IPv6 /48.'),
      ...networkAttempts(),
      window: attemptWindow(),
    })
    .describe('Limits on clients that fail to authenticate.'),
  userCodes: z
    .strictObject({ ...networkAttempts(), window: attemptWindow() })
    .describe('Limits on wrong user codes of devices (RFC 8628, section 5.1).'),
})

const password = z.strictObject({
  minLength: z.int().min(8).max(64).describe('Fewest characters of a new password.'),
  argon2: z
    .strictObject({
      memoryKiB: z.int().min(7_168).max(4_194_304).describe('Memory of one hash, in KiB.'),
      passes: z.int().min(1).max(100).describe('Passes over the memory.'),
      parallelism: z.int().min(1).max(64).describe('Lanes.'),
    })
    .describe('Cost of one Argon2id hash (RFC 9106).'),
})

const link = () => textBy(linkProblem).nullable()
const pages = z.strictObject({
  name: textBy(proseProblem).describe('What the pages call this service.'),
  logo: text().nullable().describe('File with its logo: SVG, PNG, JPEG or WebP.'),
  color: textBy(colorProblem).nullable().describe('Accent of buttons and links, as "#rrggbb".'),
  links: z
    .strictObject({
      privacy: link().describe('How the service treats what it learns of people.'),
      terms: link().describe('Its terms.'),
      support: link().describe('Where people get help.'),
    })
    .describe('At the foot of every page.'),
})

/** A part of a name that people and metrics show behind `data-protection/`. */
const keptRingName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: 'a name of at most 64 letters, digits, dots, hyphens and underscores, such as shop',
})
const keptRing = z.strictObject({
  name: keptRingName.describe('Commands, readiness and metrics call it data-protection/NAME.'),
  directory: text().optional().describe('Directory of PersistKeysToFileSystem.'),
  redis: redisUrl.optional().describe('Server of PersistKeysToStackExchangeRedis.'),
  list: text().optional().describe('Key of the list in Redis; DataProtection-Keys unless told.'),
  database: databaseUrl.optional().describe('Database of PersistKeysToDbContext.'),
  table: text().optional().describe('Its table; DataProtectionKeys unless told.'),
  applicationName: z
    .string({ error: 'text' })
    .min(1, { error: 'text that is not empty' })
    .optional()
    .describe('As in SetApplicationName; keys do not depend on it, what they protect does.'),
  certificates: z
    .array(
      z.strictObject({
        file: text().describe('PKCS#12 or PEM file with an RSA certificate and its private key.'),
        password: secret(z.string().optional().describe('Password of the file.')),
        passwordFile: text().optional().describe('File with the password of the file.'),
      }),
    )
    .default([])
    .describe('New secrets are encrypted for the first; older ones open what is there.'),
  lifetime: duration().optional().describe('From the creation of a key to its end; 90d.'),
  lead: duration().optional().describe('A key is made so long before it is needed; 14d.'),
  notice: duration().optional().describe('With less left than this, the keeper is late; 7d.'),
})

export const settingsSchema = z.strictObject({
  issuer: issuer.describe('The issuer identifier: the URL at which browsers and RPs see Keyturn.'),
  environment: z.enum(['development', 'production']).describe('production refuses shortcuts.'),
  profile: z
    .enum(['none', 'fapi2'])
    .describe('fapi2: all clients are held to the FAPI 2.0 Security Profile.'),
  http: http.describe('The public listener.'),
  outgoing: outgoing.describe('Requests that Keyturn makes to clients.'),
  management: management.describe('The listener for operators.'),
  database: database.describe('Where everything but keys is kept, and keys unless told.'),
  redis: redis.describe('Where sessions, codes and tokens are kept, and wake-ups are sent.'),
  keyStore: keyStore.describe('Where signing keys are kept.'),
  seal: seal.describe('How signing keys are sealed at rest.'),
  rotation: rotation.describe('How keys turn.'),
  tokens: tokens.describe('Lifetimes.'),
  resources: z.array(resource).describe('APIs that access tokens are for.'),
  clients: z.array(clientSchema).describe('Clients (RFC 7591) written into the store at start.'),
  claims: z.record(textBy(scopeProblem), z.array(text())).describe('Claims of each scope.'),
  pages: pages.describe('How the pages for people look.'),
  signIn: signIn.describe('Limits on failed sign-ins of people, clients and devices.'),
  password: password.describe('Passwords.'),
  sweep: z
    .strictObject({
      interval: duration({ max: 86_400 }).describe('How often expired records are deleted.'),
      batch: z.int().min(1).max(100_000).describe('Most records deleted at once.'),
    })
    .describe('Deletion of what has expired.'),
  dataProtection: z
    .strictObject({
      rings: z.array(keptRing).describe('Rings whose keys this server makes.'),
    })
    .describe('Key rings of ASP.NET Core Data Protection.'),
  log: z
    .strictObject({
      level: z
        .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
        .describe('Least level that is written.'),
      format: z.enum(['json', 'pretty', 'auto']).describe('auto is pretty on a terminal.'),
    })
    .describe('The log.'),
  admin: z
    .strictObject({
      username: textBy(usernameProblem).describe('Administrator made at the first start.'),
    })
    .describe('The first administrator.'),
})

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T

/** All settings, resolved; durations are seconds. */
export type Settings = DeepReadonly<z.output<typeof settingsSchema>>
export type RingOverrides = DeepReadonly<z.output<typeof ringOverrides>>
export type KeptRingSettings = Settings['dataProtection']['rings'][number]
export type ResourceSettings = Settings['resources'][number]

/** Where a value came from; settings that are not mentioned have their default. */
export type Origin =
  | { readonly source: 'file'; readonly file: string; readonly line: number }
  | { readonly source: 'environment'; readonly name: string }

/** The settings in effect for one issuer, those that hold for all of them included. */
export type IssuerConfig = Settings

/** What `loadConfig` returns: deeply frozen, safe by every bound. */
export type Config = Omit<Settings, 'issuer'> & {
  /**
   * The settings in effect for each issuer. There is one, unless the configuration has `issuers`; the
   * settings beside this list are those that hold for all.
   */
  readonly issuers: readonly IssuerConfig[]
  /** Safe, but worth saying at start. */
  readonly warnings: readonly string[]
  /** By dotted path. */
  readonly origins: Readonly<Record<string, Origin>>
}
