/**
 * Table of how relying parties (RPs) keep a JWKS. `relying-party.ts` simulates such an RP,
 * `price.ts` computes the cost of an emergency, `outages.ts` that of an outage. The numbers were
 * measured at the libraries named where they could be run (`test/relying-parties/`), and otherwise
 * read in their sources and documents; where the two differ, the measurement counts. Pure.
 */

import type { CoolDown, RpModel, Time } from './model.ts'

const MINUTE = 60
const HOUR = 3600
const DAY = 24 * HOUR

const NO_COOL_DOWN: CoolDown = { lasts: 0 }
const MAX_AGE: Time = { from: 'max-age', least: 1, plus: 0 }

type Traits = Partial<RpModel>

/**
 * An RP that fetches for an unknown kid, and refuses all tokens if its set has expired and cannot
 * be replaced.
 */
function asking(
  name: string,
  standsFor: string,
  lifetime: Time,
  coolDown: CoolDown | number,
  traits: Traits = {},
): RpModel {
  return {
    ...{ name, standsFor, lifetime },
    coolDown: typeof coolDown === 'number' ? { lasts: coolDown } : coolDown,
    ...({ keeps: 'set', refresh: 'before', unknownKid: 'fetch' } as const),
    ...({ keepsOnError: 0, proof: 'always' } as const),
    ...traits,
  }
}

/** An RP that keeps the set for a time and does not fetch for unknown kids. */
function timed(name: string, standsFor: string, lifetime: Time, traits: Traits = {}): RpModel {
  return asking(name, standsFor, lifetime, 0, { unknownKid: 'refuse', ...traits })
}

/** Keeps using the old set until it gets another. */
const KEEPS_OLD = { keepsOnError: Infinity } as const
const BY_TIMER = { refresh: 'by timer', ...KEEPS_OLD } as const
const FREE = { firstIsFree: true } as const
const PER_KID = { keeps: 'keys' } as const
/** Libraries with a limit allow 10 a minute by default. */
const LIMITED = { limit: 10, proof: 'if not flooded' } as const

/** Lifetime in Microsoft.IdentityModel: 12 h plus at most a random 5 %. */
const MICROSOFT = 12 * HOUR + 36 * MINUTE
const MICROSOFT_COOL_DOWN: CoolDown = { lasts: 5 * MINUTE, ...FREE, countsFailures: true }
const MICROSOFT_OLD_SETS = { oldSets: { most: 10, believedFor: HOUR } } as const
/** Fetches time out after a minute; tokens wait for a fetch only with `refresh: 'before'`. */
const LAZY = { refresh: 'behind', ...KEEPS_OLD, proof: 'if busy', timeout: MINUTE } as const
const FETCH_BEHIND = { unknownKid: 'fetch behind' } as const

export const RP_MODELS: readonly RpModel[] = [
  asking('none', 'KrakenD, mozilla-django-oidc, google-auth for Python, hono', 0, 0, {
    keeps: 'nothing',
  }),
  timed('ttl-1m', 'Micronaut Security', MINUTE),
  timed('ttl-5m', 'go-jwt-middleware v2, Apigee, okta-jwt-verifier for Go', 5 * MINUTE),
  timed('ttl-5m-timer', 'Envoy Gateway, ESP', 5 * MINUTE, BY_TIMER),
  timed('ttl-10m', 'Envoy', 10 * MINUTE),
  timed('ttl-20m-timer', 'Istio', 20 * MINUTE, { ...BY_TIMER, keepsOnError: 7 * DAY }),
  timed('ttl-1h', 'google-auth for Java, fastapi-oidc, axum-jwt-auth, Apache Solr', HOUR),
  timed('ttl-2h', 'AWS HTTP API authorizer', 2 * HOUR),
  timed('ttl-6h', 'firebase-admin for Node.js', 6 * HOUR),
  timed('ttl-12h', 'NGINX reference configuration', 12 * HOUR, KEEPS_OLD),
  timed('ttl-24h', 'Duende DiscoveryCache', DAY),
  timed('maxage', 'go-jwt-middleware v3, google-auth for Node.js', MAX_AGE, { timeout: 30 }),
  timed('maxage-timer', 'Hasura', MAX_AGE, BY_TIMER),
  timed(
    'maxage-floor15m',
    'lestrrat-go/jwx v3',
    { from: 'max-age', least: 15 * MINUTE, plus: 0 },
    BY_TIMER,
  ),
  timed(
    'maxage-floor15m-slack15m',
    'lestrrat-go/jwx v2',
    // This version checks the time in windows of 15 minutes.
    { from: 'max-age', least: 30 * MINUTE, plus: 15 * MINUTE },
    BY_TIMER,
  ),

  asking('ttl5m-kid0', 'Spring Security', 5 * MINUTE, 0, { timeout: 0.5 }),
  asking('ttl5m-kid0-stale', 'pac4j, Nimbus RemoteJWKSet', 5 * MINUTE, 0, {
    ...KEEPS_OLD,
    timeout: 0.5,
  }),
  asking('ttl5m-kid30s', 'PyJWT', 5 * MINUTE, 30, { forgetsOnError: true, timeout: 30 }),
  asking(
    'ttl5m-kid30s-twice',
    'Nimbus JWKSourceBuilder',
    5 * MINUTE,
    { lasts: 30, fetches: 2 },
    {
      timeout: 0.5,
    },
  ),
  asking('ttl5m-kid1m', 'openid-client, oauth4webapi', 5 * MINUTE, MINUTE, {
    forgetsOnError: true,
    timeout: 30,
  }),
  asking('ttl10m-kid0', 'supabase auth-js', 10 * MINUTE, 0),
  asking('ttl10m-kid30s', 'jose, express-oauth2-jwt-bearer', 10 * MINUTE, 30, { timeout: 5 }),
  asking(
    'ttl1h-kid1m',
    'mod_auth_openidc',
    HOUR,
    { lasts: MINUTE, countsFailures: true },
    {
      timeout: 30,
    },
  ),
  asking('ttl1h-kid5m', 'Azure API Management', HOUR, {
    lasts: 5 * MINUTE,
    countsFailures: true,
  }),
  asking(
    'ttl1h-kid5m-timer',
    'keyfunc',
    HOUR,
    { lasts: 5 * MINUTE, ...FREE },
    {
      ...BY_TIMER,
      timeout: MINUTE,
    },
  ),
  asking('ttl1h-behind', 'Kafka', HOUR, NO_COOL_DOWN, {
    ...BY_TIMER,
    ...FETCH_BEHIND,
    timeout: 20,
  }),
  asking('ttl24h-kid0', 'lua-resty-openidc, APISIX', DAY, 0),
  asking('ttl24h-kid10s', 'Keycloak', DAY, 10, KEEPS_OLD),
  asking('maxage-kid0', 'jose4j', MAX_AGE, 0, { ...KEEPS_OLD, timeout: 81 }),
  asking('maxage-kid0-behind', 'oidc-jwt-validator for Rust', MAX_AGE, 0, {
    ...{ refresh: 'behind', proof: 'if busy' },
    ...KEEPS_OLD,
  }),
  asking('maxage-kid30m', 'SmallRye JWT', MAX_AGE, { lasts: 30 * MINUTE, ...FREE }, KEEPS_OLD),

  asking(
    'forever-kid0',
    'go-oidc v3, oauth2-proxy, Vault, zitadel/oidc, Apache CXF, Authlib, Spring reactive',
    Infinity,
    0,
  ),
  asking('forever-kid10s', 'aws-jwt-verify', Infinity, { lasts: 10, ...FREE }, { timeout: 3 }),
  asking('forever-kid1m', 'openid-client 5', Infinity, MINUTE, {
    forgetsOnError: true,
    timeout: 3.5,
  }),
  asking('forever-kid5m', 'Kong', Infinity, 5 * MINUTE),
  asking('forever-kid10m', 'jwt-authorizer for Rust', Infinity, 10 * MINUTE),
  asking('forever-kid10m-free', 'Quarkus', Infinity, { lasts: 10 * MINUTE, ...FREE }),
  asking(
    'maxage-then-kid',
    'Kubernetes API server',
    Infinity,
    { lasts: { from: 'max-age', least: 0, plus: -30 } },
    { keepsTokens: 10, timeout: 30 },
  ),

  asking('perkid-1m', 'get-jwks', MINUTE, 0, {
    ...PER_KID,
    ...KEEPS_OLD,
    believesGone: MINUTE,
  }),
  asking('perkid-10m', 'jwks-rsa, passport-jwt, express-jwt', 10 * MINUTE, 0, {
    ...PER_KID,
    timeout: 30,
  }),
  asking('perkid-10m-limited', 'jwks-rsa with rateLimit', 10 * MINUTE, 0, {
    ...PER_KID,
    ...LIMITED,
    timeout: 30,
  }),
  asking('perkid-1h-limited', '@okta/jwt-verifier', HOUR, 0, {
    ...PER_KID,
    ...LIMITED,
    timeout: 30,
  }),
  asking('perkid-over-forever', 'jwks-rsa-java', 10 * HOUR, 0, {
    keeps: 'keys of a set',
    ...LIMITED,
  }),

  asking(
    'lazy-12h36m',
    'ASP.NET Core 9 and 10 (Microsoft.IdentityModel 8.1 and later)',
    MICROSOFT,
    MICROSOFT_COOL_DOWN,
    { ...LAZY, ...FETCH_BEHIND, ...MICROSOFT_OLD_SETS },
  ),
  asking(
    'lazy-12h36m-no-old',
    'OpenIddict.Validation; keys of GetConfigurationAsync() with RequestRefresh()',
    MICROSOFT,
    MICROSOFT_COOL_DOWN,
    { ...LAZY, ...FETCH_BEHIND },
  ),
  timed(
    'lazy-12h36m-no-kid',
    'keys of GetConfigurationAsync() without RequestRefresh()',
    MICROSOFT,
    LAZY,
  ),
  asking(
    'lazy-16m',
    'ASP.NET Core as docs/relying-parties.md sets it up',
    // 15 min and the random 5 %.
    15 * MINUTE + 45,
    { ...MICROSOFT_COOL_DOWN, lasts: 30 },
    { ...LAZY, ...FETCH_BEHIND },
  ),
  asking(
    'ttl12h36m-kid5m',
    'ASP.NET Core 8 and 10.0.0 (Microsoft.IdentityModel 7 and 8.0)',
    MICROSOFT,
    { lasts: 5 * MINUTE, ...FREE },
    { ...KEEPS_OLD, ...MICROSOFT_OLD_SETS, timeout: 100 },
  ),
  asking('ttl12h-behind', 'ASP.NET Core 6 (Microsoft.IdentityModel 6)', 12 * HOUR, 5 * MINUTE, {
    ...KEEPS_OLD,
    ...FETCH_BEHIND,
    timeout: MINUTE,
  }),
  asking('ttl24h-behind', 'ASP.NET Core 3 (Microsoft.IdentityModel 5)', DAY, 30, {
    ...KEEPS_OLD,
    ...FETCH_BEHIND,
    timeout: MINUTE,
  }),

  asking('flag-poll-60s', 'joken_jwks', Infinity, 0, {
    unknownKid: 'wait for poll',
    poll: MINUTE,
    proof: 'advisory',
    advice: 'refuses each new key for up to 60 s, whatever the policy',
  }),
  timed('once', 'openidconnect for Rust, joserfc, LemonLDAP::NG 2.16', Infinity, {
    proof: 'if restarted',
  }),
  timed('static', 'PostgREST, Cloudflare API Shield, Kong jwt', Infinity, {
    proof: 'advisory',
    advice: 'its operator adds each new key by hand, before it signs',
  }),
]
