/**
 * How relying parties (RPs) keep a JWKS, as data for `relying-party.ts`. The numbers were read from
 * the sources and documents of the libraries named; a model also stands for libraries of its kind
 * with shorter times. Pure.
 */

/** Where the lifetime of a kept JWKS comes from. */
export type Lifetime =
  /** Seconds; Infinity where only an unknown kid, or nothing, makes it fetch again. */
  | number
  /** `max-age` of the answer, whose `Age` these libraries ignore, at least `least`, plus `slack`. */
  | { readonly from: 'max-age'; readonly least: number; readonly slack: number }

export interface RpModel {
  readonly name: string
  readonly standsFor: string
  /**
   * - `nothing`: fetches for each token
   * - `set`: the whole JWKS, replaced by the next
   * - `keys`: each key from its first use
   * - `keys of a set`: the same, filled from a set that is fetched only where it lacks the kid
   */
  readonly keeps: 'nothing' | 'set' | 'keys' | 'keys of a set'
  readonly lifetime: Lifetime
  /** An old set is replaced before a token is judged, on time by itself, or behind an answer. */
  readonly refresh: 'before' | 'by timer' | 'behind'
  /** What a kid does that the JWKS lacks: nothing, a fetch, or one that comes too late for its token. */
  readonly unknownKid: 'refuse' | 'fetch' | 'fetch behind' | 'wait for poll'
  /** Seconds (or max-age) after a fetch in which an unknown kid causes no other. */
  readonly coolDown: number | 'max-age'
  /** Seconds between the polls that `wait for poll` waits for. */
  readonly poll?: number
  /** Seconds for which the set before the last is believed as well. */
  readonly lastKnownGood?: number
  /** Fetches in one minute, for all kids together, beyond which it refuses. */
  readonly limit?: number
  /**
   * What a proof needs besides the policy. `advisory` models fail, or do not, whatever the policy:
   * they are described and never counted.
   */
  readonly proof: 'always' | 'if busy' | 'if not flooded' | 'advisory'
  /** For `advisory`: what its operator should know. */
  readonly advice?: string
}

const MINUTE = 60
const HOUR = 3600

/** Keeps the set for a time, whatever kids it meets. */
function timed(name: string, standsFor: string, lifetime: Lifetime): RpModel {
  return { ...asking(name, standsFor, lifetime, 0), unknownKid: 'refuse' }
}

/** Fetches for an unknown kid as well. */
function asking(
  name: string,
  standsFor: string,
  lifetime: Lifetime,
  coolDown: RpModel['coolDown'],
): RpModel {
  return {
    ...{ name, standsFor, lifetime, coolDown },
    ...({ keeps: 'set', refresh: 'before', unknownKid: 'fetch', proof: 'always' } as const),
  }
}

const LIMITED = { limit: 10, proof: 'if not flooded' } as const
const PER_KID = {
  ...asking('perkid-10m', 'node-jwks-rsa, get-jwks', 10 * MINUTE, 0),
  keeps: 'keys',
} as const

export const RP_MODELS: readonly RpModel[] = [
  {
    ...asking('none', 'KrakenD, mozilla-django-oidc, google-auth for Python', 0, 0),
    keeps: 'nothing',
  },
  timed('ttl-5m', 'Envoy Gateway, Apigee, ESP, okta-jwt-verifier for Go', 5 * MINUTE),
  { ...timed('ttl-20m-timer', 'Istio, Envoy (10 min)', 20 * MINUTE), refresh: 'by timer' },
  timed('ttl-2h', 'AWS HTTP API authorizer, google-auth for Java (1 h)', 2 * HOUR),
  timed('ttl-12h', 'NGINX reference, firebase-admin for Node.js (6 h)', 12 * HOUR),
  timed('maxage', 'go-jwt-middleware, google-auth for Node.js, Hasura', {
    from: 'max-age',
    least: 1,
    slack: 0,
  }),
  {
    ...timed('maxage-floor15m-slack15m', 'lestrrat-go/jwx', {
      from: 'max-age',
      least: 15 * MINUTE,
      slack: 15 * MINUTE,
    }),
    refresh: 'by timer',
  },
  asking('ttl10m-kid30s', 'jose, Nimbus', 10 * MINUTE, 30),
  asking('ttl5m-kid0', 'PyJWT, Spring Security, pac4j', 5 * MINUTE, 0),
  asking('ttl1h-kid5m', 'jose4j, keyfunc, Azure APIM, openid-client (1 min)', HOUR, 5 * MINUTE),
  asking('ttl1h-kid30m', 'SmallRye JWT', HOUR, 30 * MINUTE),
  asking('ttl24h-kid0', 'lua-resty-openidc, APISIX, Keycloak', 24 * HOUR, 0),
  asking('forever-kid0', 'go-oidc v3, Apache CXF, authlib, Spring reactive', Infinity, 0),
  asking('forever-kid10m', 'Quarkus, Kong (5 min), aws-jwt-verify (10 s)', Infinity, 10 * MINUTE),
  asking('maxage-then-kid', 'Kubernetes API server', Infinity, 'max-age'),
  PER_KID,
  { ...PER_KID, ...LIMITED, name: 'perkid-10m-limited', standsFor: 'node-jwks-rsa with rateLimit' },
  {
    ...asking('perkid-over-forever', 'jwks-rsa-java', 10 * HOUR, 0),
    ...LIMITED,
    keeps: 'keys of a set',
  },
  {
    // 12 h and a random 5 % at most. It goes on with the set before the last for an hour.
    ...asking(
      'lazy-12h36m',
      'Microsoft.IdentityModel (ASP.NET Core)',
      (12 * 60 + 36) * MINUTE,
      5 * MINUTE,
    ),
    refresh: 'behind',
    unknownKid: 'fetch behind',
    lastKnownGood: HOUR,
    proof: 'if busy',
  },
  {
    ...asking('flag-poll-60s', 'joken_jwks', Infinity, 0),
    unknownKid: 'wait for poll',
    poll: MINUTE,
    proof: 'advisory',
    advice: 'refuses each new key for up to 60 s, whatever the policy',
  },
  {
    ...timed('static', 'PostgREST, Cloudflare API Shield, Kong jwt', Infinity),
    proof: 'advisory',
    advice: 'its operator adds each new key by hand, before it signs',
  },
]
