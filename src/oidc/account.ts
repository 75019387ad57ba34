import { type AccountClaims, type FindAccount, interactionPolicy } from 'oidc-provider'
import type { Account, AccountStore } from '../accounts/account-store.ts'
import { refuseUnmetContexts } from './authentication-context.ts'

/**
 * The `findAccount` of oidc-provider. A person who is disabled or gone is not found, which ends
 * sessions, refresh tokens and userinfo without a word to anybody else.
 */
export function createFindAccount(accounts: Pick<AccountStore, 'findById'>): FindAccount {
  return async (_ctx, sub) => {
    const account = await accounts.findById(sub)
    if (!account || account.isDisabled) return undefined
    return { accountId: account.id, claims: () => accountClaims(account) }
  }
}

/**
 * Every claim that Keyturn knows of a person; oidc-provider hands out those that scope, the claims
 * parameter and consent allow (OpenID Connect Core 1.0, section 5.4). What is unknown is left out.
 */
export function accountClaims({ id, username, claims, createdAt }: Account): AccountClaims {
  return {
    // Not that of the account: a new password changes nothing of what clients are told.
    updated_at: createdAt,
    ...claims,
    sub: id,
    preferred_username: username,
  }
}

/**
 * oidc-provider's policy of when to ask for a sign-in or consent, and two things more: a session that
 * belongs to somebody who is disabled or gone, which would end in a server error, and a context that
 * no sign-in has.
 * @param contexts in which people sign in here (`acr`)
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
  return policy
}
