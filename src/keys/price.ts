/**
 * What an emergency costs at relying parties (RPs), which keep a JWKS in one of a few ways. Pure.
 * The models and their numbers were read from the sources of the named libraries; the rule is that
 * a new key is known everywhere once
 *
 *     maxRingAge + jwksMaxAge + staleWhileRevalidate + clockSkew + one fetch + (what the model adds)
 *
 * have passed since it was published. `stale-if-error` is not counted: it applies only while
 * Keyturn cannot be reached.
 */

/** The settings that a price depends on, in seconds. */
export interface CachingSettings {
  readonly maxRingAge: number
  readonly jwksMaxAge: number
  readonly staleWhileRevalidate: number
  readonly clockSkew: number
}

/** RPs of one model for which an early promotion fails. */
export interface PromotionPrice {
  readonly model: string
  readonly examples: string
  /** Seconds from the promotion; null: until its operator acts. */
  readonly failsFor: number | null
}

export interface RevocationPrice {
  readonly model: string
  readonly examples: string
  /** Seconds from the revocation; null: until its operator acts. */
  readonly trustsFor: number | null
  /** Does trust end only when the RP meets a kid that it has never seen? */
  readonly endsWithNewKid: boolean
}

/** How RPs of one kind keep a JWKS. */
interface CacheModel {
  readonly model: string
  readonly examples: string
  /** Seconds it may go on without a key that the JWKS shows; from max-age; or pinned for ever. */
  readonly misses: number | 'max-age' | 'max-age + 15 min' | 'for ever'
  /** Seconds it goes on with a key that the JWKS does not show; or as above; or until an unknown kid. */
  readonly keeps: number | 'max-age' | 'max-age + 15 min' | 'for ever' | 'unknown kid'
}

const MINUTE = 60
const HOUR = 3600

/** A fetch may take this long: the longest time-out that was read in an RP library. */
const FETCH = 60

/** Of Microsoft.IdentityModel: 12 h and a random 5 % at most. */
const MICROSOFT = 12 * HOUR + 36 * MINUTE

const MODELS: readonly CacheModel[] = [
  {
    model: 'no cache',
    examples: 'KrakenD, mozilla-django-oidc, google-auth for Python',
    misses: 0,
    keeps: 0,
  },
  {
    model: 'each key for 10 min',
    examples: 'node-jwks-rsa, get-jwks',
    misses: 0,
    keeps: 10 * MINUTE,
  },
  {
    model: 'for ever, but fetches for an unknown kid',
    examples: 'go-oidc v3, Apache CXF, authlib, jwks-rsa-java, Spring reactive',
    misses: 0,
    keeps: 'unknown kid',
  },
  {
    model: '24 h, but fetches for an unknown kid',
    examples: 'Keycloak, lua-resty-openidc',
    misses: 10,
    keeps: 24 * HOUR,
  },
  {
    model: '5 to 10 min, but fetches for an unknown kid',
    examples: 'jose, openid-client, Spring Security, Nimbus, PyJWT',
    misses: MINUTE,
    keeps: 10 * MINUTE,
  },
  {
    model: '1 h, but fetches for an unknown kid every 5 min',
    examples: 'jose4j, keyfunc, Azure API Management, mod_auth_openidc',
    misses: 5 * MINUTE,
    keeps: HOUR,
  },
  {
    model: '5 min',
    examples: 'Envoy Gateway, Apigee, ESP, okta-jwt-verifier for Go',
    misses: 5 * MINUTE,
    keeps: 5 * MINUTE,
  },
  { model: '10 min', examples: 'Envoy', misses: 10 * MINUTE, keeps: 10 * MINUTE },
  {
    model: 'for ever, but fetches for an unknown kid every 10 min',
    examples: 'Quarkus, Kong, aws-jwt-verify (10 s)',
    misses: 10 * MINUTE,
    keeps: 'unknown kid',
  },
  {
    model: 'for max-age',
    examples: 'go-jwt-middleware, google-auth for Node.js, Hasura',
    misses: 'max-age',
    keeps: 'max-age',
  },
  {
    model: 'for max-age; known keys for ever',
    examples: 'Kubernetes API server',
    misses: 'max-age',
    keeps: 'unknown kid',
  },
  { model: '20 min', examples: 'Istio', misses: 20 * MINUTE, keeps: 20 * MINUTE },
  {
    model: 'for max-age and up to 15 min',
    examples: 'lestrrat-go/jwx',
    misses: 'max-age + 15 min',
    keeps: 'max-age + 15 min',
  },
  {
    model: '1 h, but fetches for an unknown kid every 30 min',
    examples: 'SmallRye JWT',
    misses: 30 * MINUTE,
    keeps: HOUR,
  },
  { model: '1 h', examples: 'google-auth for Java', misses: HOUR, keeps: HOUR },
  { model: '2 h', examples: 'AWS HTTP API authorizer', misses: 2 * HOUR, keeps: 2 * HOUR },
  { model: '6 h', examples: 'firebase-admin for Node.js', misses: 6 * HOUR, keeps: 6 * HOUR },
  {
    model: '12 h',
    examples: 'NGINX reference configuration',
    misses: 12 * HOUR,
    keeps: 12 * HOUR,
  },
  {
    // ASP.NET goes on with an expired set while it refreshes, and keeps the one before for an hour.
    model: '12 h, then behind the next request',
    examples: 'Microsoft.IdentityModel (ASP.NET Core)',
    misses: MICROSOFT,
    keeps: MICROSOFT + HOUR,
  },
  {
    model: 'pinned by hand',
    examples: 'PostgREST, Cloudflare API Shield, Kong jwt',
    misses: 'for ever',
    keeps: 'for ever',
  },
]

/** Seconds from publication until nodes, HTTP caches and clocks no longer hide a key from a fetch. */
export function timeToReach(settings: CachingSettings): number {
  const { maxRingAge, jwksMaxAge, staleWhileRevalidate, clockSkew } = settings
  return maxRingAge + jwksMaxAge + staleWhileRevalidate + clockSkew + FETCH
}

/**
 * The RPs that would meet an unknown kid if a key signed now, and for how long at most.
 * @param lead seconds for which the key has been published
 * @returns shortest first; empty of all but pinned RPs for a key published long enough
 */
export function promotionPrice(lead: number, settings: CachingSettings): readonly PromotionPrice[] {
  return MODELS.map(({ model, examples, misses }) => {
    const added = secondsOf(misses, settings)
    const failsFor = added === null ? null : timeToReach(settings) + added - lead
    return { model, examples, failsFor }
  })
    .filter(({ failsFor }) => failsFor === null || failsFor > 0)
    .sort((a, b) => (a.failsFor ?? Infinity) - (b.failsFor ?? Infinity))
}

/**
 * How long RPs go on trusting a key at most after it was revoked. Those that fetch only for an
 * unknown kid drop it when the fresh key signs, one propagation after the revocation (`plan.ts`).
 * @param propagation seconds
 * @returns shortest first
 */
export function revocationPrice(
  settings: CachingSettings & { readonly propagation: number },
): readonly RevocationPrice[] {
  const { maxRingAge, jwksMaxAge, staleWhileRevalidate, propagation } = settings
  const hidden = maxRingAge + jwksMaxAge + staleWhileRevalidate
  return MODELS.map(({ model, examples, misses, keeps }) => {
    if (keeps === 'unknown kid') {
      const trustsFor = propagation + (secondsOf(misses, settings) ?? 0)
      return { model, examples, trustsFor, endsWithNewKid: true }
    }
    const kept = secondsOf(keeps, settings)
    const trustsFor = kept === null ? null : hidden + kept
    return { model, examples, trustsFor, endsWithNewKid: false }
  }).sort((a, b) => (a.trustsFor ?? Infinity) - (b.trustsFor ?? Infinity))
}

/** What it costs if a key signs before it has been published for one propagation. */
export interface EarlySwitch {
  /** Seconds for which it has been published by then. */
  readonly lead: number
  /** RPs that refuse its tokens, as `promotionPrice` gives them. */
  readonly fails: readonly PromotionPrice[]
}

/**
 * The instants before the end of `propagation` that are worth a thought: as soon as can be; once
 * those RPs know the key that drop another only when they meet a kid they have never seen, for whose
 * sake a switch after a revocation is made; and once every RP knows it that fetches by itself.
 * @param propagation seconds
 * @param lead seconds for which the key has been published already
 * @returns earliest first; none for a key that has been published for `propagation`
 */
export function earlySwitches(
  lead: number,
  { propagation, ...settings }: CachingSettings & { readonly propagation: number },
): readonly EarlySwitch[] {
  const reach = timeToReach(settings)
  const missing = (models: readonly CacheModel[]) =>
    reach + Math.max(...models.map(({ misses }) => secondsOf(misses, settings) ?? 0))
  const leads = [0, missing(MODELS.filter(({ keeps }) => keeps === 'unknown kid')), missing(MODELS)]
  return [...new Set(leads.map((each) => Math.max(each, lead)))]
    .filter((each) => each < propagation)
    .map((each) => ({ lead: each, fails: promotionPrice(each, settings) }))
}

/** How many kinds of RPs there are prices for. */
export const RP_KINDS = MODELS.length

/** jwx looks at headers in windows of 15 minutes and takes no less than one. */
function secondsOf(
  time: Exclude<CacheModel['keeps'], 'unknown kid'>,
  { jwksMaxAge }: CachingSettings,
): number | null {
  if (time === 'max-age') return jwksMaxAge
  if (time === 'max-age + 15 min') return Math.max(15 * MINUTE, jwksMaxAge) + 15 * MINUTE
  return time === 'for ever' ? null : time
}
