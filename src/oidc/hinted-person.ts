import { decodeJwt } from 'jose'
import { interactionPolicy } from 'oidc-provider'

/** The person whom a client means by `id_token_hint` (OpenID Connect Core 1.0, section 3.1.2.1). */

/**
 * @param params of a request whose ID token oidc-provider has verified
 * @returns id of the account; undefined if the client names nobody
 */
export function hintedPerson(params: Readonly<Record<string, unknown>>): string | undefined {
  const { id_token_hint: hint } = params
  return typeof hint === 'string' ? decodeJwt(hint).sub : undefined
}

/**
 * Asks for another sign-in while the session is of somebody else than the client means, because a
 * code for another person must not be issued. oidc-provider compares the two only in the request
 * that carries the hint, not when a browser returns from the pages or enters a device's code.
 */
export function expectHintedPerson(): interactionPolicy.Check {
  return new interactionPolicy.Check(
    'hinted_person',
    'id_token_hint and authenticated subject do not match',
    'login_required',
    ({ oidc }) => {
      const { accountId } = oidc.session ?? {}
      const person = hintedPerson(oidc.params ?? {})
      return person !== undefined && accountId !== undefined && person !== accountId
    },
  )
}
