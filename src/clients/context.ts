import type { ResourceSettings, Settings } from '../config/schema.ts'
import { COOKIE_RING } from '../keys/policy.ts'
import { isLoopback } from '../loopback.ts'

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
  readonly resources: readonly Pick<
    ResourceSettings,
    'identifier' | 'scopes' | 'tokenFormat' | 'algorithm'
  >[]
  readonly tellsOfSignOuts: boolean
  /** May Keyturn call addresses of private networks? */
  readonly callsPrivateNetworks: boolean
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
