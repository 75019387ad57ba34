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
const DAY = 24 * HOUR

const SET = { keeps: 'set', refresh: 'before', coolDown: 0, proof: 'always' } as const
const TIMED = { ...SET, unknownKid: 'refuse' } as const
const ASKING = { ...SET, unknownKid: 'fetch' } as const
const KEYS = { ...ASKING, keeps: 'keys', lifetime: 10 * MINUTE } as const

export const RP_MODELS: readonly RpModel[] = [
  {
    ...ASKING,
    name: 'none',
    standsFor: 'KrakenD, mozilla-django-oidc, google-auth for Python',
    keeps: 'nothing',
    lifetime: 0,
  },
  {
    ...TIMED,
    name: 'ttl-5m',
    standsFor: 'Envoy Gateway, Apigee, ESP, okta-jwt-verifier for Go',
    lifetime: 5 * MINUTE,
  },
  {
    ...TIMED,
    name: 'ttl-20m-timer',
    standsFor: 'Istio, Envoy (10 min)',
    lifetime: 20 * MINUTE,
    refresh: 'by timer',
  },
  {
    ...TIMED,
    name: 'ttl-2h',
    standsFor: 'AWS HTTP API authorizer, google-auth for Java (1 h)',
    lifetime: 2 * HOUR,
  },
  {
    ...TIMED,
    name: 'ttl-12h',
    standsFor: 'NGINX reference configuration, firebase-admin for Node.js (6 h)',
    lifetime: 12 * HOUR,
  },
  {
    ...TIMED,
    name: 'maxage',
    standsFor: 'go-jwt-middleware, google-auth for Node.js, Hasura',
    lifetime: { from: 'max-age', least: 1, slack: 0 },
  },
  {
    ...TIMED,
    name: 'maxage-floor15m-slack15m',
    standsFor: 'lestrrat-go/jwx',
    lifetime: { from: 'max-age', least: 15 * MINUTE, slack: 15 * MINUTE },
    refresh: 'by timer',
  },
  {
    ...ASKING,
    name: 'ttl10m-kid30s',
    standsFor: 'jose, Nimbus',
    lifetime: 10 * MINUTE,
    coolDown: 30,
  },
  {
    ...ASKING,
    name: 'ttl5m-kid0',
    standsFor: 'PyJWT, Spring Security, pac4j',
    lifetime: 5 * MINUTE,
  },
  {
    ...ASKING,
    name: 'ttl1h-kid5m',
    standsFor: 'jose4j, keyfunc, Azure API Management, openid-client and mod_auth_openidc (1 min)',
    lifetime: HOUR,
    coolDown: 5 * MINUTE,
  },
  {
    ...ASKING,
    name: 'ttl1h-kid30m',
    standsFor: 'SmallRye JWT',
    lifetime: HOUR,
    coolDown: 30 * MINUTE,
  },
  {
    ...ASKING,
    name: 'ttl24h-kid0',
    standsFor: 'lua-resty-openidc, APISIX, Keycloak',
    lifetime: DAY,
  },
  {
    ...ASKING,
    name: 'forever-kid0',
    standsFor: 'go-oidc v3, Apache CXF, authlib, Spring reactive',
    lifetime: Infinity,
  },
  {
    ...ASKING,
    name: 'forever-kid10m',
    standsFor: 'Quarkus, jwt-authorizer, Kong (5 min), aws-jwt-verify (10 s)',
    lifetime: Infinity,
    coolDown: 10 * MINUTE,
  },
  {
    ...ASKING,
    name: 'maxage-then-kid',
    standsFor: 'Kubernetes API server',
    lifetime: Infinity,
    coolDown: 'max-age',
  },
  { ...KEYS, name: 'perkid-10m', standsFor: 'node-jwks-rsa, get-jwks' },
  {
    ...KEYS,
    name: 'perkid-10m-limited',
    standsFor: 'node-jwks-rsa with rateLimit',
    limit: 10,
    proof: 'if not flooded',
  },
  {
    ...KEYS,
    name: 'perkid-over-forever',
    standsFor: 'jwks-rsa-java',
    keeps: 'keys of a set',
    lifetime: 10 * HOUR,
    limit: 10,
    proof: 'if not flooded',
  },
  {
    // 12 h and a random 5 % at most. It goes on with the set before the last for an hour.
    ...SET,
    name: 'lazy-12h36m',
    standsFor: 'Microsoft.IdentityModel (ASP.NET Core)',
    lifetime: 12 * HOUR + 36 * MINUTE,
    refresh: 'behind',
    unknownKid: 'fetch behind',
    coolDown: 5 * MINUTE,
    lastKnownGood: HOUR,
    proof: 'if busy',
  },
  {
    ...SET,
    name: 'flag-poll-60s',
    standsFor: 'joken_jwks',
    lifetime: Infinity,
    unknownKid: 'wait for poll',
    poll: MINUTE,
    proof: 'advisory',
    advice: 'refuses every new key for up to 60 s from its first token, whatever the policy',
  },
  {
    ...TIMED,
    name: 'static',
    standsFor: 'PostgREST, Cloudflare API Shield, Kong jwt, uploaded keys',
    lifetime: Infinity,
    proof: 'advisory',
    advice: 'its operator must add each new key by hand before it signs',
  },
]
