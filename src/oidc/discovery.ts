/** Endpoints where clients prove who they are as they do at the token endpoint. */
const ENDPOINTS = ['revocation', 'introspection'] as const

/**
 * How clients prove who they are at the other endpoints too (RFC 8414, section 2), which oidc-provider
 * leaves out: the default would be `client_secret_basic` alone.
 * @param discovery what the provider says of itself
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
