/** Endpoints where clients authenticate as they do at the token endpoint. */
const ENDPOINTS = ['revocation', 'introspection'] as const

/**
 * Adds the authentication methods of the other endpoints (RFC 8414, section 2). oidc-provider omits
 * them, and the default of an omitted list is `client_secret_basic` alone.
 * @param discovery metadata of the provider
 */
export function withEndpointMethods(discovery: Readonly<Record<string, unknown>>): object {
  const {
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: algorithms,
  } = discovery
  const added = ENDPOINTS.filter((name) => discovery[`${name}_endpoint`] !== undefined).map(
    (name) => ({
      [`${name}_endpoint_auth_methods_supported`]: methods,
      [`${name}_endpoint_auth_signing_alg_values_supported`]: algorithms,
    }),
  )
  return Object.assign({}, discovery, ...added)
}
