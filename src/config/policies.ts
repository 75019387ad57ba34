import { COOKIE_ALGORITHM } from '../ring/algorithms.ts'
import { COOKIE_RING, type RingPolicy, type RotationPolicies } from '../ring/policy.ts'
import { formatDuration } from '../values/duration-text.ts'
import type { RingOverrides, Settings } from './schema.ts'

/** Policies of rings from settings, with overrides applied and `auto` resolved. */

const DAY = 86_400

/** Lifetime of logout tokens; Back-Channel Logout 1.0, section 2.4, advises two minutes at most. */
const LOGOUT_TOKEN = 120

/** Lifetime of signed authorization responses (JARM, section 2.1: ten minutes at most). */
const AUTHORIZATION_RESPONSE = 120

/**
 * The policies of all configured rings, in the order of the configuration, with the cookie ring
 * last if it is not mentioned. A ring that only the store has gets the policy without overrides: it
 * is kept and, if it signs tokens, published, but never turned.
 */
export function rotationPolicies(settings: Settings): RotationPolicies {
  const names = new Set([...Object.keys(settings.rotation.rings), COOKIE_RING])
  const rings = [...names].map((ring) => ringPolicy(settings, ring, true))
  return {
    rings,
    policyFor: (ring) =>
      rings.find((policy) => policy.ring === ring) ?? ringPolicy(settings, ring, false),
  }
}

/** Overrides of a ring; empty for a ring that is not configured. */
export function ringOverrides({ rotation }: Settings, ring: string): RingOverrides {
  const rings: Readonly<Record<string, RingOverrides | undefined>> = rotation.rings
  return (Object.hasOwn(rings, ring) && rings[ring]) || {}
}

/**
 * The path of the setting from which a ring has a value (of the ring if overridden, else of all
 * rings), and its text.
 */
export function ringSetting(
  settings: Settings,
  ring: string,
  name: 'cryptoperiod' | 'propagation' | 'retention',
): { readonly path: string; readonly value: string } {
  const own = ringOverrides(settings, ring)[name]
  const value = own ?? settings.rotation[name]
  return {
    path: own === undefined ? `rotation.${name}` : `rotation.rings.${ring}.${name}`,
    value: value === 'auto' ? value : formatDuration(value),
  }
}

/**
 * The longest lifetime, in seconds, of signed values that RPs verify with the JWKS, and its
 * setting. Signed userinfo lives as long as the access token that it is requested with. An answer
 * to introspection has no lifetime, because it is verified on arrival (RFC 9701, section 5).
 */
export function longestToken({ tokens, resources, clients, outgoing }: Settings): {
  readonly name: string
  readonly lifetime: number
} {
  const lifetimes = [
    { name: 'tokens.idToken', lifetime: tokens.idToken },
    { name: 'tokens.accessToken', lifetime: tokens.accessToken },
    { name: 'tokens.clientCredentials', lifetime: tokens.clientCredentials },
    ...(tokens.signedAuthorizationResponses
      ? [{ name: 'authorization responses', lifetime: AUTHORIZATION_RESPONSE }]
      : []),
    ...(outgoing.backchannelLogout ? [{ name: 'logout tokens', lifetime: LOGOUT_TOKEN }] : []),
    ...resources.flatMap(({ tokenFormat, tokenLifetime: lifetime }, index) =>
      tokenFormat === 'jwt' && lifetime !== undefined
        ? [{ name: `resources.${index}.tokenLifetime`, lifetime }]
        : [],
    ),
    ...clients.flatMap((client, index) =>
      (['access_token_lifetime', 'id_token_lifetime'] as const).flatMap((property) => {
        const lifetime = client[property]
        return lifetime === undefined ? [] : [{ name: `clients.${index}.${property}`, lifetime }]
      }),
    ),
  ]
  return lifetimes.reduce((longest, next) => (next.lifetime > longest.lifetime ? next : longest))
}

function ringPolicy(settings: Settings, ring: string, configured: boolean): RingPolicy {
  const { rotation } = settings
  const own = ringOverrides(settings, ring)
  const retention = own.retention ?? rotation.retention
  const isCookie = ring === COOKIE_RING
  return {
    ring,
    algorithm: isCookie ? COOKIE_ALGORITHM : ring.slice(ring.indexOf('/') + 1),
    configured,
    published: ring.startsWith('sig/'),
    cryptoperiod: own.cryptoperiod ?? rotation.cryptoperiod,
    propagation: own.propagation ?? rotation.propagation,
    retention: retention === 'auto' ? automaticRetention(settings, isCookie) : retention,
    // A cookie key is a secret without a public half that could be kept for id_token_hint.
    archive: isCookie ? 0 : (own.archive ?? rotation.archive),
    standby: own.standby ?? rotation.standby,
    ...(own.manual && { manual: true }),
    maxRingAge: rotation.maxRingAge,
    clockSkew: rotation.clockSkew,
  }
}

function automaticRetention(settings: Settings, isCookie: boolean): number {
  const lifetime = isCookie ? settings.tokens.session : longestToken(settings).lifetime
  return Math.max(14 * DAY, lifetime + DAY)
}

/** Settings with other values of the rotation, which may break bounds, to compute their price. */
export function withRotation(
  settings: Settings,
  { propagation, retention }: { readonly propagation?: number; readonly retention?: number },
): Settings {
  const changes = {
    ...(propagation === undefined ? {} : { propagation }),
    ...(retention === undefined ? {} : { retention }),
  }
  // Overrides of rings are replaced as well.
  const rings = Object.fromEntries(
    Object.entries(settings.rotation.rings).map(([ring, own]) => [ring, { ...own, ...changes }]),
  )
  return { ...settings, rotation: { ...settings.rotation, ...changes, rings } }
}
