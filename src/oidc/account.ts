import { type AccountClaims, type FindAccount, interactionPolicy } from 'oidc-provider'
import type { Account, AccountStore } from '../accounts/account-store.ts'

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
export function accountClaims(account: Account): AccountClaims {
  return {
    sub: account.id,
    preferred_username: account.username,
    updated_at: account.updatedAt,
    ...(account.name === null ? {} : { name: account.name }),
    ...(account.email === null
      ? {}
      : { email: account.email, email_verified: account.emailVerified }),
  }
}

/**
 * oidc-provider's policy of when to ask for a sign-in or consent, and one reason more: the session
 * belongs to somebody who is disabled or gone. Without it such a session ends in a server error.
 */
export function createInteractionPolicy(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base()
  const { Check } = interactionPolicy
  const accountGone = new Check(
    'account_gone',
    'End-User account is not usable',
    'login_required',
    ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
  )
  policy.get('login')?.checks.add(accountGone)
  return policy
}
