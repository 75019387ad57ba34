/**
 * The numbers and names of the FAPI 2.0 Security Profile (final, section 5), which hold for a client whose
 * `profile` is fapi2, and for all clients where that is the profile of the server.
 */

export const FAPI2 = 'fapi2'

/** JWS algorithms for everything that is signed (section 5.4.1). EdDSA has a newer name (RFC 9864). */
export const FAPI2_ALGORITHMS: readonly string[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519']

/** How a client proves itself (section 5.3.2.1): by keys, as Keyturn does not see certificates of clients. */
export const FAPI2_AUTHENTICATION = 'private_key_jwt'

/** Longest life of an authorization code, in seconds (section 5.3.2.1). */
export const FAPI2_CODE = 60

/** How far a client's clock may be ahead and is borne, and how far it must not be, in seconds (section 5.3.2.1). */
export const FAPI2_CLOCKS = { least: 10, most: 60 } as const

/** What a client is without saying so. */
export const FAPI2_IMPOSED = {
  require_pushed_authorization_requests: true,
  dpop_bound_access_tokens: true,
  refresh_token_rotation: 'never',
} as const
