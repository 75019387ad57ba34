/**
 * Numbers and names of the FAPI 2.0 Security Profile (final, section 5). They hold for a client
 * whose `profile` is fapi2, and for every client if the profile of the server is fapi2.
 */

export const FAPI2 = 'fapi2'

/** Allowed JWS algorithms (section 5.4.1). Ed25519 is the newer name of EdDSA (RFC 9864). */
export const FAPI2_ALGORITHMS: readonly string[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519']

/**
 * Authentication method of clients (section 5.3.2.1). The profile also allows mutual TLS, but
 * Keyturn does not see certificates of clients.
 */
export const FAPI2_AUTHENTICATION = 'private_key_jwt'

/** Longest life of an authorization code, in seconds (section 5.3.2.1). */
export const FAPI2_CODE = 60

/**
 * Seconds that a client's clock may be ahead: `least` must be tolerated, more than `most` must be
 * refused (section 5.3.2.1).
 */
export const FAPI2_CLOCKS = { least: 10, most: 60 } as const

/** Properties that a client of this profile has without naming them. */
export const FAPI2_IMPOSED = {
  require_pushed_authorization_requests: true,
  dpop_bound_access_tokens: true,
  refresh_token_rotation: 'never',
} as const
