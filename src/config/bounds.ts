import { redisServer } from '../connection/redis-url.ts'
import type { Violation } from '../errors.ts'
import {
  type BrokenBound,
  brokenBoundsOf,
  isRefreshOftenEnough,
  type Surroundings,
} from '../ring/bounds.ts'
import { COOKIE_RING, type RingPolicy } from '../ring/policy.ts'
import { blockedPort } from '../values/blocked-ports.ts'
import { formatDuration as text } from '../values/duration-text.ts'
import { brokenProfile } from './fapi2.ts'
import { brokenKeptRings } from './kept-rings.ts'
import { idleSettings } from './no-effect.ts'
import { sharedFiles } from './own-files.ts'
import { longestToken, ringOverrides, ringSetting, rotationPolicies } from './policies.ts'
import { publishedKeysBound } from './published-keys.ts'
import { brokenReferences } from './references.ts'
import type { Settings } from './schema.ts'
import { brokenSealKeys } from './seal-keys.ts'

/**
 * Rules that tie settings to each other (ARCHITECTURE.md). Pure. Each violation describes the
 * problem with its numbers, and the smallest change that mends it.
 */

/** Every broken rule. */
export function brokenBounds(settings: Settings): readonly Violation[] {
  return [
    ...issuerBound(settings),
    ...issuerPortBound(settings),
    ...portBound(settings),
    ...keyStoreBound(settings),
    ...redisBound(settings),
    ...witnessBound(settings),
    ...brokenSealKeys(settings),
    ...sharedFiles(settings),
    ...idleSettings(settings),
    ...refreshBound(settings),
    ...ringBounds(settings),
    ...ringsBound(settings),
    ...publishedKeysBound(settings),
    ...grantBound(settings),
    ...attemptBounds(settings),
    ...brokenReferences(settings),
    ...brokenKeptRings(settings),
    ...brokenProfile(settings),
  ]
}

/**
 * Violations of rings. Of several rings that share a setting the neediest is reported, because one
 * change mends all of them.
 */
function ringBounds(settings: Settings): readonly Violation[] {
  const neediest = new Map<string, { readonly violation: Violation; readonly limit: number }>()
  for (const policy of rotationPolicies(settings).rings) {
    for (const broken of brokenBoundsOf(policy, surroundings(settings, policy))) {
      const violation = ringViolation(settings, policy, broken)
      const key = `${violation.rule} ${violation.path}`
      if (broken.limit <= (neediest.get(key)?.limit ?? 0)) continue
      neediest.set(key, { violation, limit: broken.limit })
    }
  }
  return [...neediest.values()].map(({ violation }) => violation)
}

/** The violation of a broken bound, with the setting and the value to set. */
function ringViolation(
  settings: Settings,
  { ring, published }: RingPolicy,
  { bound, limit, message }: BrokenBound,
): Violation {
  if (bound === 'published-keys') throw new TypeError('a single ring does not break published-keys')
  const { path, value } = ringSetting(settings, ring, bound)
  if (bound === 'cryptoperiod') {
    const fix = `set ${path} to more than ${text(limit)}`
    return { path, value, rule: bound, message, fix }
  }
  if (bound === 'propagation' || published) {
    return { path, value, rule: bound, message, fix: atLeast(path, limit) }
  }
  // Sessions usually outlive tokens, so the cookie ring is mended without touching other rings.
  const fix = atLeast(`rotation.rings.${COOKIE_RING}.retention`, limit)
  return { path, value, rule: 'cookie-retention', message, fix }
}

/**
 * Caches and tokens that a ring must outlast. oidc-provider accepts its own stored sessions for
 * clockTolerance after their end, as it accepts JWTs of clients. The tolerance of RPs is unknown.
 */
function surroundings(settings: Settings, { published }: RingPolicy): Surroundings {
  const { tokens, rotation } = settings
  const { jwksMaxAge } = rotation
  if (published) return { jwksMaxAge, longest: longestToken(settings) }
  const tolerance = Math.max(0, tokens.clockTolerance - rotation.clockSkew)
  return { jwksMaxAge, longest: { name: 'tokens.session', lifetime: tokens.session, tolerance } }
}

/** A failed refresh must not stop the node from signing. */
function refreshBound({ rotation }: Settings): readonly Violation[] {
  const { refreshInterval, maxRingAge } = rotation
  if (isRefreshOftenEnough(refreshInterval, maxRingAge)) return []
  const path = 'rotation.refreshInterval'
  const message =
    `keys are loaded every ${text(refreshInterval)}; after one failure they would be older than ` +
    `maxRingAge ${text(maxRingAge)}, and the node would stop signing`
  const fix = `set ${path} to at most ${text(Math.floor(maxRingAge / 2))}`
  return [{ path, value: text(refreshInterval), rule: 'refresh-interval', message, fix }]
}

function ringsBound(settings: Settings): readonly Violation[] {
  const { rings } = settings.rotation
  const violations: Violation[] = []
  if (!Object.keys(rings).some((ring) => ring !== COOKIE_RING)) {
    const path = 'rotation.rings'
    const message = 'no ring signs tokens'
    const fix = `add sig/RS256: {} to ${path}`
    violations.push({ path, value: Object.keys(rings), rule: 'signing-ring', message, fix })
  }
  const archive = ringOverrides(settings, COOKIE_RING).archive ?? 0
  if (archive > 0) {
    const path = `rotation.rings.${COOKIE_RING}.archive`
    const message = 'cookie keys have no public half that could be kept'
    const fix = `remove ${path}, or set it to 0s`
    violations.push({ path, value: text(archive), rule: 'cookie-archive', message, fix })
  }
  return violations
}

function issuerBound({ environment, issuer }: Settings): readonly Violation[] {
  if (environment !== 'production' || issuer.startsWith('https:')) return []
  const message = 'in production the issuer must be an https URL'
  const fix = `set issuer to an https:// URL, or environment to development`
  return [{ path: 'issuer', value: issuer, rule: 'production-issuer', message, fix }]
}

function issuerPortBound({ issuer }: Settings): readonly Violation[] {
  const port = blockedPort(issuer)
  if (port === undefined) return []
  const message = `browsers and fetch refuse to open port ${port}, so nobody could sign in`
  const fix = 'give the issuer another port, such as 8080, and set http.port or the proxy to it'
  return [{ path: 'issuer', value: issuer, rule: 'issuer-port', message, fix }]
}

/** Port 0 takes a free port, so two of them never clash. */
function portBound({ http, management }: Settings): readonly Violation[] {
  if (http.port !== management.port || http.port === 0) return []
  if (!shareAnAddress(http.host, management.host)) return []
  const path = 'management.port'
  const message = 'http.port has the same value, but two listeners cannot share a port'
  const fix = `set ${path} or http.port to another port`
  return [{ path, value: management.port, rule: 'ports', message, fix }]
}

/** Tells whether two hosts may be one address: localhost is 127.0.0.1 or ::1. */
function shareAnAddress(one: string, other: string): boolean {
  const hosts = [one, other]
  if (one === other || hosts.some((host) => ALL_ADDRESSES.includes(host))) return true
  return hosts.includes('localhost') && hosts.every((host) => LOOPBACK.includes(host))
}

const ALL_ADDRESSES: readonly string[] = ['0.0.0.0', '::']
const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '::1']

function keyStoreBound({ keyStore, environment, http }: Settings): readonly Violation[] {
  if (keyStore.type === 'memory' && environment === 'production') {
    const path = 'keyStore.type'
    const message =
      'keys in memory are lost at a restart, so that every token is refused afterwards'
    const fix = `set ${path} to database`
    return [{ path, value: 'memory', rule: 'production-key-store', message, fix }]
  }
  if (keyStore.type === 'memory' && http.socketActivation) {
    const path = 'http.socketActivation'
    const message =
      'keys in memory belong to one process, and others that share the socket would not know them'
    const fix = `set ${path} to false, or keyStore.type to database`
    return [{ path, value: true, rule: 'shared-key-store', message, fix }]
  }
  if (keyStore.type !== 'module' || keyStore.module !== null) return []
  const path = 'keyStore.module'
  const message = 'keyStore.type is module, but no module is named'
  const fix = `set ${path} to the path of an ES module that exports createKeyStore`
  return [{ path, value: null, rule: 'key-store-module', message, fix }]
}

function witnessBound({ rotation, redis }: Settings): readonly Violation[] {
  if (rotation.witness !== 'redis' || redis.url !== null) return []
  return [
    {
      path: 'rotation.witness',
      value: 'redis',
      rule: 'witness-redis',
      message: 'the witness is to be kept in Redis, but redis.url names none',
      fix: 'set redis.url, or rotation.witness to a file (./redis for one of that name)',
    },
  ]
}

/** Redis has one URL, with or without a list of nodes. */
function redisBound({ redis: { url, cluster, sentinels } }: Settings): readonly Violation[] {
  const path = 'redis.url'
  if (url === null && cluster.length + sentinels.length > 0) {
    const message = 'redis.cluster or redis.sentinels names nodes, but Redis is not turned on'
    const fix =
      'set redis.url too, such as redis://USER:PASSWORD@nodes: it gives user, password, TLS and ' +
      'database; its host is not used'
    return [{ path, value: null, rule: 'redis-url', message, fix }]
  }
  if (cluster.length > 0 && url !== null && redisServer(url).number !== 0) {
    const message = 'redis.url names a database, but a Redis Cluster has only database 0'
    const fix = 'remove the path of redis.url'
    return [{ path, value: '***', rule: 'redis-database', message, fix }]
  }
  if (cluster.length === 0 || sentinels.length === 0) return []
  const message = 'redis.cluster and redis.sentinels are both set, but Redis cannot be both'
  const fix = 'remove redis.cluster or redis.sentinels'
  return [{ path: 'redis.sentinels', value: sentinels, rule: 'redis-nodes', message, fix }]
}

/** A refresh token is useless after its grant. */
function grantBound({ tokens, clients }: Settings): readonly Violation[] {
  const lifetimes = [
    { name: 'tokens.refreshToken', lifetime: tokens.refreshToken },
    ...clients.map(({ refresh_token_lifetime: lifetime = 0 }, index) => ({
      name: `clients.${index}.refresh_token_lifetime`,
      lifetime,
    })),
  ]
  const longest = lifetimes.reduce((a, b) => (b.lifetime > a.lifetime ? b : a))
  if (tokens.grant >= longest.lifetime) return []
  const path = 'tokens.grant'
  const message =
    `grants end after ${text(tokens.grant)}, before the refresh tokens that depend on them ` +
    `(${longest.name} ${text(longest.lifetime)})`
  const fix = atLeast(path, longest.lifetime)
  return [{ path, value: text(tokens.grant), rule: 'grant', message, fix }]
}

/**
 * The limit of a network must not be lower than that of one of its addresses, because a failure
 * counts for both.
 */
function attemptBounds({ signIn }: Settings): readonly Violation[] {
  const { perAccountAndAddress, perAccountAndSite, perAccountAndNetwork } = signIn
  const { clientSecrets, userCodes } = signIn
  const { perClientAndAddress, perClientAndSite, perClientAndNetwork } = clientSecrets
  const ofAll = ({ perAddress, perSite, perNetwork }: typeof userCodes) => ({
    perAddress,
    perSite,
    perNetwork,
  })
  return [
    ...wideningBound('signIn', { perAccountAndAddress, perAccountAndSite, perAccountAndNetwork }),
    ...wideningBound('signIn', ofAll(signIn)),
    ...wideningBound('signIn.clientSecrets', {
      perClientAndAddress,
      perClientAndSite,
      perClientAndNetwork,
    }),
    ...wideningBound('signIn.clientSecrets', ofAll(clientSecrets)),
    ...wideningBound('signIn.userCodes', ofAll(userCodes)),
  ]
}

/** Checks limits that widen. @param limits by setting, from the narrowest to the widest */
function wideningBound(
  section: string,
  limits: Readonly<Record<string, number | 'auto'>>,
): readonly Violation[] {
  const given = Object.entries(limits).filter(([, limit]) => limit !== 'auto')
  return given.slice(1).flatMap(([name, limit], index) => {
    const [narrower, least] = given[index] ?? [name, limit]
    if (limit >= least) return []
    const path = `${section}.${name}`
    const message =
      `it is lower than ${section}.${narrower} ${least}, but counts the same failures and more, so ` +
      `${section}.${narrower} would never be reached`
    const fix = `set ${path} to at least ${least}, or to auto`
    return [{ path, value: limit, rule: 'sign-in-limits', message, fix }]
  })
}

function atLeast(path: string, seconds: number): string {
  return `set ${path} to at least ${text(seconds)}`
}
