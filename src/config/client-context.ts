import type { ClientContext } from '../clients/context.ts'
import { COOKIE_RING, type RotationPolicies } from '../ring/policy.ts'
import { isLoopback } from '../values/loopback.ts'
import type { Settings } from './schema.ts'

/** Facts of the configuration on which rules for clients depend. */

export function clientContext(settings: Settings): ClientContext {
  const { environment, profile, rotation, tokens, claims, resources, outgoing } = settings
  return {
    isProduction: environment === 'production',
    profile,
    clockTolerance: tokens.clockTolerance,
    algorithms: signingAlgorithms(rotation),
    scopes: [...new Set(['openid', 'offline_access', ...Object.keys(claims)])],
    resources,
    tellsOfSignOuts: outgoing.backchannelLogout,
    callsPrivateNetworks: mayCallPrivateNetworks(settings),
  }
}

/** Facts for clients that are not in the configuration, with the longest lifetimes allowed. */
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

/**
 * True if private addresses may be called, as in development, where relying parties are on
 * localhost.
 */
export function mayCallPrivateNetworks({
  issuer,
  outgoing,
}: Pick<Settings, 'issuer' | 'outgoing'>): boolean {
  return outgoing.privateNetworks || isLoopback(new URL(issuer).hostname)
}
