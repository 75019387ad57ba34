import { API, CLIENTS, REDIRECT_URI, SECRET } from '../lab/server.ts'

/**
 * A policy that rotates keys every few seconds within the bounds. The numbers are seconds, with the
 * letters of the safety condition: a key may sign once it has been published for G + S + C + F + X.
 */

/** G: the oldest ring that a node may sign from or serve. */
const MAX_RING_AGE = 3
const REFRESH_INTERVAL = 1
/** S: the largest difference of a node's clock. */
const CLOCK_SKEW = 1
/**
 * Seconds for which HTTP caches keep the JWKS, and additional ones while the origin fails; C is the
 * sum.
 */
const JWKS_MAX_AGE = 1
const STALE_IF_ERROR = 1
/** F: how long an RP may take to fetch the JWKS. */
export const FETCH = 1
/** X: how long an RP may take to find a new key in the JWKS; every RP here is scaled to it. */
export const RP_LAG = 2
/** T: the longest lifetime of a token. RPs grant no leeway. */
export const TOKEN_LIFETIME = 4
/** 3 + 1 + (1 + 1) + 1 + 2. */
export const PROPAGATION =
  MAX_RING_AGE + CLOCK_SKEW + JWKS_MAX_AGE + STALE_IF_ERROR + FETCH + RP_LAG
/** T + 2 S. */
const RETENTION = TOKEN_LIFETIME + 2 * CLOCK_SKEW

const RINGS = {
  'sig/RS256': { cryptoperiod: PROPAGATION + 1 },
  // Longer, for orders of operators, because a standby older than propagation may sign at once.
  'sig/ES256': { cryptoperiod: 2 * PROPAGATION + 2 },
  'sig/Ed25519': { cryptoperiod: PROPAGATION + 1 },
} as const

/** The ring that operators turn by hand. */
export const ORDERS_RING = 'sig/ES256'

export const LIMITS = {
  maxRingAge: MAX_RING_AGE,
  refreshInterval: REFRESH_INTERVAL,
  clockSkew: CLOCK_SKEW,
} as const

/** APIs for which clients get tokens by client credentials. The last one's tokens are opaque. */
export const RESOURCES = [
  { identifier: `${API}/rs256`, scopes: ['read'], algorithm: 'RS256' },
  { identifier: `${API}/es256`, scopes: ['read'], algorithm: 'ES256' },
  { identifier: `${API}/ed25519`, scopes: ['read'], algorithm: 'Ed25519' },
  { identifier: `${API}/opaque`, scopes: ['read'], tokenFormat: 'opaque' },
] as const

/** Scopes of every client at these APIs. */
const ALL = Object.fromEntries(RESOURCES.map(({ identifier, scopes }) => [identifier, scopes]))

const [web] = CLIENTS
const machine = { ...CLIENTS.find(({ client_id }) => client_id === 'machine'), resources: ALL }

/** Clients whose people sign in, by the algorithm of their ID tokens. */
export const WEB_CLIENTS = ['RS256', 'ES256', 'Ed25519'].map((algorithm) => ({
  ...web,
  client_id: `web-${algorithm}`,
  client_secret: SECRET,
  redirect_uris: [REDIRECT_URI],
  resources: ALL,
  id_token_signed_response_alg: algorithm,
}))

/** A bound that is broken on purpose, to prove that the drill notices. */
export type Sabotage = 'propagation' | 'retention' | 'ring-age'

/** Settings that all nodes share, in the shape of a configuration file. */
export function nodeSettings(options: {
  readonly issuer: string
  readonly folder: string
  readonly databaseUrl: string
  readonly sabotage: Sabotage | undefined
  readonly logLevel: string
  /** Seconds. */
  readonly databaseTimeout: number
  /** `database.durability`. */
  readonly durability: 'full' | 'relaxed'
}): object {
  const { issuer, folder, databaseUrl, sabotage, logLevel, durability } = options
  const seconds = (value: number) => `${value}s`
  const limit = 1_000_000
  return {
    issuer,
    // Less than the balancer waits.
    http: { shutdownDelay: '1s', trustedProxies: 1, limits: { answerTime: '12s' } },
    // Off, because logout tokens live for two minutes.
    outgoing: { backchannelLogout: false },
    database: { url: databaseUrl, timeout: seconds(options.databaseTimeout), durability },
    seal: { file: `${folder}/kek.jwks` },
    rotation: {
      cryptoperiod: seconds(PROPAGATION + 1),
      // Without a standby a key is published for no longer than `propagation`.
      propagation: sabotage === 'propagation' ? '1s' : seconds(PROPAGATION),
      standby: sabotage !== 'propagation',
      retention: sabotage === 'retention' ? '1s' : seconds(RETENTION),
      // Long enough for the drill to have read the record of every key.
      archive: '60s',
      jwksMaxAge: seconds(JWKS_MAX_AGE),
      staleWhileRevalidate: '0s',
      staleIfError: seconds(STALE_IF_ERROR),
      refreshInterval: seconds(REFRESH_INTERVAL),
      maxRingAge: seconds(MAX_RING_AGE),
      clockSkew: seconds(CLOCK_SKEW),
      rings: {
        ...Object.fromEntries(
          Object.entries(RINGS).map(([ring, { cryptoperiod }]) => [
            ring,
            { cryptoperiod: seconds(cryptoperiod) },
          ]),
        ),
        cookie: { cryptoperiod: '1d', propagation: '1h', retention: '20d' },
      },
    },
    tokens: {
      accessToken: seconds(TOKEN_LIFETIME),
      idToken: seconds(TOKEN_LIFETIME),
      clientCredentials: seconds(TOKEN_LIFETIME),
      // Off, because signed responses live for two minutes.
      signedAuthorizationResponses: false,
    },
    resources: RESOURCES,
    clients: [machine, ...WEB_CLIENTS],
    // All requests come from one address and one person.
    signIn: { perAccountAndAddress: limit, perAddress: limit, perAccount: limit },
    password: { argon2: { memoryKiB: 7168, passes: 1, parallelism: 1 } },
    log: { level: logLevel, format: 'json' },
  }
}
