import type { KoaContextWithOIDC } from 'oidc-provider'
import { ownProperties } from '../clients/properties.ts'
import type { IssuerConfig } from '../config/schema.ts'
import type { Fapi2 } from './profiles/fapi2.ts'

/** Percent of its lifetime after which a refresh token is renewed even if it need not rotate. */
const RENEWAL_PERCENTAGE = 70

/** Seconds since the first refresh token of a chain after which tokens are not renewed any more. */
const LONGEST_CHAIN = 31_557_600

/**
 * Decides whether a refresh issues another refresh token. Using the previous one then ends the
 * grant (RFC 9700, section 4.14.2) after a leeway (`refresh-reuse.ts`), so a client that loses an
 * answer and is offline for longer is signed out. A public client without DPoP has to rotate,
 * because a stolen token would go unnoticed (section 2.2.2); other clients authenticate. FAPI 2.0
 * (section 5.3.2.1) wants no rotation.
 * @param setting applies to clients without a property of their own
 */
export function createRefreshTokenRotation(
  setting: IssuerConfig['tokens']['refreshTokenRotation'],
  fapi2: Pick<Fapi2, 'holds'>,
) {
  return ({ oidc: { client, refreshToken } }: KoaContextWithOIDC): boolean => {
    if (!client || !refreshToken) throw new TypeError('there is no refresh token to rotate')
    if (fapi2.holds(client)) return false
    const { refresh_token_rotation: rotation = setting } = ownProperties(client)
    if (rotation === 'always') return true
    const isUnauthenticated =
      client.clientAuthMethod === 'none' && !refreshToken.isSenderConstrained()
    if (rotation === 'never') return isUnauthenticated
    if (refreshToken.totalLifetime() >= LONGEST_CHAIN) return false
    return isUnauthenticated || refreshToken.ttlPercentagePassed() >= RENEWAL_PERCENTAGE
  }
}
