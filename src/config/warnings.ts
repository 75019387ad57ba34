import { isEmbedded } from '../connection/database-url.ts'
import { COMMON_KEY_TYPES, SIGNATURE_ALGORITHMS } from '../ring/algorithms.ts'
import { PUBLISHED_KEYS_WARN } from '../ring/policy.ts'
import { formatDuration } from '../values/duration-text.ts'
import { unencryptedRings } from './kept-rings.ts'
import { rotationPolicies } from './policies.ts'
import { leastPublishedKeys } from './published-keys.ts'
import { readableFiles } from './readable-files.ts'
import type { Settings } from './schema.ts'
import { witnessPlace } from './witness.ts'

const HOUR = 3_600

/**
 * Warnings about settings that are safe, for the log at start.
 * @param keysFile the file of `seal.keys`, if the value came from one
 */
export function configWarnings(settings: Settings, keysFile?: string): readonly string[] {
  return [
    ...fastRotation(settings),
    ...forgottenKeys(settings),
    ...ownKeys(settings),
    ...unknownKeyTypes(settings),
    ...manyKeys(settings),
    ...unseenProxy(settings),
    ...staleCaches(settings),
    ...narrowTolerance(settings),
    ...otherPort(settings),
    ...hastyAnswers(settings),
    ...noWitness(settings),
    ...unencryptedRings(settings),
    ...readableFiles(settings, keysFile),
  ]
}

function fastRotation(settings: Settings): readonly string[] {
  const { rings } = rotationPolicies(settings)
  const shortest = Math.min(...rings.map((policy) => policy.cryptoperiod))
  if (shortest >= HOUR) return []
  return [
    `Keys turn every ${formatDuration(shortest)}. This fast profile is for demonstrations and ` +
      'drills: relying parties that cache keys for longer than Keyturn tells them will fail.',
  ]
}

function forgottenKeys({ keyStore }: Settings): readonly string[] {
  if (keyStore.type !== 'memory') return []
  return [
    'keyStore.type is memory: no token outlives this process, and records of people and clients in the ' +
      'database are trusted at each start, whoever wrote them. For development only.',
  ]
}

/** A database server is meant for several nodes, which must be able to open each other's keys. */
function ownKeys({ database, keyStore, seal }: Settings): readonly string[] {
  if (isEmbedded(database.url)) return []
  return [
    ...(seal.protector === 'file'
      ? [
          `Several nodes can share the database, but key-encryption keys are in a file of this one ` +
            `(seal.file ${seal.file}). Every node needs the same: copy it, or set seal.protector to ` +
            'environment.',
        ]
      : []),
    ...(keyStore.type === 'file'
      ? [
          `Several nodes can share the database, but signing keys are in a directory of this one ` +
            `(keyStore.path ${keyStore.path}). Unless every node mounts the same, set keyStore.type ` +
            'to database.',
        ]
      : []),
  ]
}

function unknownKeyTypes({ rotation, issuer }: Settings): readonly string[] {
  const types: Readonly<Record<string, { readonly kty: string }>> = SIGNATURE_ALGORITHMS
  const byType = Map.groupBy(Object.keys(rotation.rings), (ring) => types[ring.slice(4)]?.kty)
  return [...byType].flatMap(([type, rings]) => {
    if (type === undefined || COMMON_KEY_TYPES.includes(type)) return []
    const names = rings.join(', ')
    if (rotation.rareKeys === 'apart') {
      return `${names}: relying parties that verify tokens of these rings need ${issuer}/jwks/all as their jwks_uri.`
    }
    return (
      `${names}: many relying parties refuse a whole JWKS, keys of other rings included, because of one ` +
      `key of an unknown type (kty ${type}). Try it with every relying party first, or set ` +
      'rotation.rareKeys to apart.'
    )
  })
}

function manyKeys(settings: Settings): readonly string[] {
  const count = leastPublishedKeys(settings)
  if (count <= PUBLISHED_KEYS_WARN) return []
  return [
    `${count} keys are published all the time; some relying parties keep ${PUBLISHED_KEYS_WARN} ` +
      'of an issuer and fetch the JWKS more often beyond that. Fewer rings publish fewer keys.',
  ]
}

/** An https issuer needs a reverse proxy, because Keyturn speaks plain HTTP. */
function unseenProxy({ issuer, http }: Settings): readonly string[] {
  if (!issuer.startsWith('https:') || http.trustedProxies > 0) return []
  return [
    'The issuer is https, but http.trustedProxies is 0: every request seems to come from the address ' +
      'of the reverse proxy, so limits on failed sign-ins apply to everybody together. Set ' +
      'http.trustedProxies to the number of reverse proxies in front.',
  ]
}

/**
 * The bound of propagation covers fresh copies of the JWKS, not those that caches may serve stale.
 */
function staleCaches({ rotation }: Settings): readonly string[] {
  const { propagation, maxRingAge, jwksMaxAge, clockSkew } = rotation
  const { staleWhileRevalidate, staleIfError } = rotation
  const longest = Math.max(staleWhileRevalidate, staleIfError)
  const least = maxRingAge + jwksMaxAge + 2 * clockSkew + longest
  if (propagation >= least) return []
  return [
    `Caches that cannot reach Keyturn may serve an old JWKS for ${formatDuration(longest)} more ` +
      '(staleWhileRevalidate, staleIfError), and a key may sign before they show it. Set ' +
      `rotation.propagation to at least ${formatDuration(least)}, or reduce those two settings.`,
  ]
}

/** A node dates a pushed request by its clock, and another node may answer it (RFC 9126). */
function narrowTolerance({ database, rotation, tokens }: Settings): readonly string[] {
  const { clockSkew } = rotation
  if (isEmbedded(database.url) || tokens.clockTolerance >= clockSkew) return []
  return [
    `Clocks of nodes may differ by more (rotation.clockSkew ${formatDuration(clockSkew)}) than the tolerance for ` +
      `clients (tokens.clockTolerance ${formatDuration(tokens.clockTolerance)}), so other nodes may refuse a pushed ` +
      'authorization request from a node whose clock is ahead. Reduce rotation.clockSkew if NTP keeps all clocks ' +
      'right, or raise tokens.clockTolerance.',
  ]
}

function otherPort({ issuer, http }: Settings): readonly string[] {
  const { protocol, port } = new URL(issuer)
  if (protocol !== 'http:' || http.socketActivation || http.port === 0) return []
  if (Number(port || 80) === http.port) return []
  return [
    `The issuer ${issuer} and http.port ${http.port} name different ports. Unless a proxy maps ` +
      'one to the other, nobody can sign in.',
  ]
}

function hastyAnswers({ http, database }: Settings): readonly string[] {
  const { answerTime } = http.limits
  if (isEmbedded(database.url) || answerTime > database.timeout) return []
  return [
    `http.limits.answerTime (${formatDuration(answerTime)}) is not longer than database.timeout ` +
      `(${formatDuration(database.timeout)}): a request is given up before the database is, and its ` +
      'client is not told what failed.',
  ]
}

function noWitness(settings: Settings): readonly string[] {
  const place = witnessPlace(settings)
  if (place.type !== 'none' || settings.keyStore.type === 'memory') return []
  return [
    `No witness outside the database remembers revocations, because ${place.why}. If the database is ` +
      'restored from a backup, keys that were revoked since are trusted again, and no check notices it.',
  ]
}
