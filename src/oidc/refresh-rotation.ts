import type { KoaContextWithOIDC } from 'oidc-provider'
import { ownProperties } from '../clients/properties.ts'
import type { IssuerConfig } from '../config/schema.ts'
import type { Fapi2 } from './profiles/fapi2.ts'

/** Percent of a refresh token's life after which one that need not rotate is renewed all the same. */
const OLD = 70

/** Seconds after the first refresh token of a chain: such a one is not renewed any more. */
const LONGEST_CHAIN = 31_557_600

/**
 * Does a refresh give another refresh token? Use of the one before then ends the grant (RFC 9700, section
 * 4.14.2) after a leeway (`token-requests.ts`), so a client that loses an answer and is offline for longer
 * is signed out. A public client without DPoP has to bear that, as a stolen token would go unnoticed
 * (section 2.2.2); others prove who they are. FAPI 2.0 (section 5.3.2.1) wants none.
 * @param setting what counts where the client has no property of its own
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
    const isUnproven = client.clientAuthMethod === 'none' && !refreshToken.isSenderConstrained()
    if (rotation === 'never') return isUnproven
    if (refreshToken.totalLifetime() >= LONGEST_CHAIN) return false
    return isUnproven || refreshToken.ttlPercentagePassed() >= OLD
  }
}
