import type { ResourceSettings, Settings } from '../config/schema.ts'
import { COOKIE_RING, type RotationPolicies } from '../ring/policy.ts'
import { isLoopback } from '../values/loopback.ts'

/** What the rules of clients need to know of the server. */
export interface ClientContext {
  readonly isProduction: boolean
  /** To which all clients are held. */
  readonly profile: Settings['profile']
  /** JWS algorithms of the rings that sign. */
  readonly algorithms: readonly string[]
  /** OpenID scopes. */
  readonly scopes: readonly string[]
  /** APIs, by whose scopes some know their rights. */
  readonly resources: readonly (Pick<
    ResourceSettings,
    'identifier' | 'scopes' | 'tokenFormat' | 'algorithm'
  > &
    Partial<Pick<ResourceSettings, 'audience' | 'typ'>>)[]
  readonly tellsOfSignOuts: boolean
  /** May Keyturn call addresses of private networks? */
  readonly callsPrivateNetworks: boolean
  /** What lifetimes are held to; undefined for clients of the configuration, to whose bounds they belong. */
  readonly longest?: LongestLifetimes
}

/** Seconds. */
export interface LongestLifetimes {
  /** Of what is signed. */
  readonly token: number
  /** By which retention is longer. */
  readonly margin: number
  /** Of refresh tokens. */
  readonly grant: number
}

export function clientContext(settings: Settings): ClientContext {
  const { environment, profile, rotation, claims, resources, outgoing } = settings
  return {
    isProduction: environment === 'production',
    profile,
    algorithms: signingAlgorithms(rotation),
    scopes: [...new Set(['openid', 'offline_access', ...Object.keys(claims)])],
    resources,
    tellsOfSignOuts: outgoing.backchannelLogout,
    callsPrivateNetworks: mayCallPrivateNetworks(settings),
  }
}

/** The same for clients that are not in the configuration. */
export function commandContext(settings: Settings, { rings }: RotationPolicies): ClientContext {
  const retention = Math.min(
    ...rings.filter((ring) => ring.published).map((ring) => ring.retention),
  )
  const margin = 2 * settings.rotation.clockSkew
  const longest = { token: retention - margin, margin, grant: settings.tokens.grant }
  return { ...clientContext(settings), longest }
}

export function signingAlgorithms({ rings }: Settings['rotation']): readonly string[] {
  const signing = Object.keys(rings).filter((ring) => ring !== COOKIE_RING)
  return signing.map((ring) => ring.slice(ring.indexOf('/') + 1))
}

/** While developing, relying parties are on localhost. */
export function mayCallPrivateNetworks({
  issuer,
  outgoing,
}: Pick<Settings, 'issuer' | 'outgoing'>): boolean {
  return outgoing.privateNetworks || isLoopback(new URL(issuer).hostname)
}
