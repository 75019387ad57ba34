import * as client from 'openid-client'
import { REDIRECT_URI, SECRET } from './server.ts'

/** A relying party on openid-client that trusts an issuer over plain HTTP, as tests need. */
export function discoverAs(
  issuer: string,
  clientId: string,
  authentication: string | client.ClientAuth = SECRET,
): Promise<client.Configuration> {
  const options = { execute: [client.allowInsecureRequests] }
  return typeof authentication === 'string'
    ? client.discovery(new URL(issuer), clientId, authentication, undefined, options)
    : client.discovery(new URL(issuer), clientId, undefined, authentication, options)
}

/** An authorization request with PKCE, and the function that redeems its code. */
export async function authorizationRequest(
  rp: client.Configuration,
  parameters: Readonly<Record<string, string>> = {},
) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(rp, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...parameters,
  })
  const redeem = (
    callback: URL,
    checks: client.AuthorizationCodeGrantChecks = {},
    more?: Readonly<Record<string, string>>,
    options?: client.AuthorizationCodeGrantOptions,
  ) => client.authorizationCodeGrant(rp, callback, { pkceCodeVerifier, ...checks }, more, options)
  return { url: url.href, redeem, verifier: pkceCodeVerifier }
}
