import { errors, interactionPolicy } from 'oidc-provider'

/** How people prove who they are, in the words of `acr` (OpenID Connect Core 1.0, section 2). */

/**
 * Prefix of SAML 2.0's authentication context classes (section 3.4), the ones most often asked for.
 */
const CLASSES = 'urn:oasis:names:tc:SAML:2.0:ac:classes:'

/** A password, over a connection that TLS protects unless the issuer is one for development. */
export function passwordContext(issuer: string): string {
  return `${CLASSES}${issuer.startsWith('https:') ? 'PasswordProtectedTransport' : 'Password'}`
}

/**
 * Refuses a request for which no sign-in here is good enough, because oidc-provider would ask for a
 * sign-in again and again.
 * @param offered all contexts in which people can sign in
 * @see https://openid.net/specs/openid-connect-unmet-authentication-requirements-1_0.html
 */
export function refuseUnmetContexts(offered: readonly string[]): interactionPolicy.Check {
  return new interactionPolicy.Check(
    'unmet_context',
    'none of the requested ACRs can be obtained',
    'unmet_authentication_requirements',
    ({ oidc }) => {
      const { essential, value, values } = oidc.claims?.id_token?.acr ?? {}
      const isOffered = (context: unknown) => offered.includes(String(context))
      // oidc-provider asks for one of `values`, even if the list is empty, and for `value`.
      const isMet =
        (!Array.isArray(values) || values.some(isOffered)) && (!value || isOffered(value))
      if (!essential || isMet) return interactionPolicy.Check.NO_NEED_TO_PROMPT
      throw new errors.UnmetAuthenticationRequirements(
        `people sign in here with: ${offered.join(' ')}`,
      )
    },
  )
}
