import {
  type AccountClaims,
  type FindAccount,
  interactionPolicy,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import type { Account, AccountStore } from '../accounts/account-store.ts'
import { ownProperties } from '../clients/properties.ts'
import { refuseUnmetContexts } from './authentication-context.ts'
import { expectHintedPerson } from './hinted-person.ts'

/**
 * The `findAccount` of oidc-provider. A disabled or deleted person is not found, which ends
 * sessions, refresh tokens and userinfo without telling anybody why.
 */
export function createFindAccount(accounts: Pick<AccountStore, 'findById'>): FindAccount {
  return async (ctx, sub) => {
    const account = await accounts.findById(sub)
    if (!account || account.isDisabled) return undefined
    return {
      accountId: account.id,
      claims: (use, _scope, requested) => {
        const all = accountClaims(account)
        if (use !== 'id_token' || hasClaimsInIdToken(ctx)) return all
        const wanted = Object.entries(all).filter(([name]) => Object.hasOwn(requested, name))
        return { sub: all.sub, ...Object.fromEntries(wanted) }
      },
    }
  }
}

/**
 * The claims of scopes are in the ID token where the client says so, and where userinfo does not
 * answer the access token beside it (OpenID Connect Core 1.0, section 5.4), as it is for an API.
 */
function hasClaimsInIdToken({ oidc: { client, accessToken } }: KoaContextWithOIDC): boolean {
  if (client && ownProperties(client).claims_in_id_token) return true
  return accessToken?.aud !== undefined && !accessToken.scopes.has('openid')
}

/**
 * Every claim that Keyturn knows of a person; oidc-provider hands out those that scope, the claims
 * parameter and consent allow (OpenID Connect Core 1.0, section 5.4). Unknown claims are left out.
 */
export function accountClaims({ id, username, claims, createdAt }: Account): AccountClaims {
  return {
    // Not the account's own `updatedAt`, because a new password changes no claim.
    updated_at: createdAt,
    ...claims,
    sub: id,
    preferred_username: username,
  }
}

/**
 * oidc-provider's policy of when to ask for a sign-in or consent, with three more checks: a session
 * of a disabled or deleted person, which would end in a server error, an authentication context
 * that no sign-in has, and a session of another person than the client means. Clients with
 * `consent: skip` ask for no consent.
 * @param contexts authentication contexts in which people sign in here (`acr`)
 */
export function createInteractionPolicy(
  contexts: readonly string[] = [],
): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base()
  const { Check } = interactionPolicy
  const accountGone = new Check(
    'account_gone',
    'End-User account is not usable',
    'login_required',
    ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
  )
  policy.get('login')?.checks.add(accountGone)
  policy.get('login')?.checks.add(refuseUnmetContexts(contexts))
  policy.get('login')?.checks.add(expectHintedPerson())
  const consent = policy.get('consent')
  // These two checks ask again even if all was granted before. The other checks ask only for what
  // is missing.
  for (const reason of ['consent_prompt', 'native_client_prompt']) {
    const check = consent?.checks.get(reason)
    if (!check) throw new TypeError(`oidc-provider has no check ${reason}`)
    const isAsked = check.check
    check.check = (ctx) => !skipsConsent(ctx) && isAsked(ctx)
  }
  return policy
}

function skipsConsent({ oidc: { client } }: KoaContextWithOIDC): boolean {
  return client !== undefined && ownProperties(client).consent === 'skip'
}
