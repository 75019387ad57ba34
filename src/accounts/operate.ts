import { type AccountAction, ordered } from '../audit/record.ts'
import { NotFound, Refused, StoreUnavailable } from '../errors.ts'
import type { Order } from '../ring/orders.ts'
import {
  type Account,
  type AccountChanges,
  type AccountStore,
  nextChange,
} from './account-store.ts'
import { type Claims, changeClaims, claimProblem, claimsProblems, unknownClaim } from './claims.ts'
import { type AccountDetails, type NewAccount, newAccount } from './new-account.ts'
import type { Passwords } from './password.ts'
import { nameKey, skeletonKey } from './skeleton.ts'
import { usernameProblem } from './username.ts'

/** Orders of operators about accounts. Each change is recorded with its order. */

export interface Surroundings {
  readonly accounts: AccountStore
  readonly order: Order
  readonly passwords: Pick<Passwords, 'hash'>
  /** Ends all sessions and tokens of an account. @throws StoreUnavailable */
  readonly endSessions: (accountId: string) => Promise<void>
  /** Names of claims that accounts may have (`claimNames`). */
  readonly claimNames: readonly string[]
  /** Present instant, the same for all steps of an order. */
  readonly now: number
}

/** A change of an account's claims. */
export interface ClaimChanges {
  readonly set: Claims
  /** Names of claims to remove. */
  readonly removed: readonly string[]
}

export type Details = AccountDetails & { readonly claims: Claims }

/**
 * Adds an account with a one-time password.
 * @throws Refused if the details are invalid or the user name is taken
 */
export async function addAccount(
  details: Details,
  surroundings: Surroundings,
): Promise<NewAccount> {
  const { accounts, passwords, claimNames, now } = surroundings
  refuse(problemsOf(details, claimNames))
  const made = await newAccount(details, passwords, { now: () => now })
  const by = ordered('account_added', surroundings)
  if (await accounts.add(made.account, by)) return made
  throw await whyTaken(made.account, accounts)
}

/** Problems of a new account by itself, each a whole sentence. */
export function problemsOf(
  { username, claims }: Details,
  claimNames: readonly string[],
): readonly string[] {
  const problem = usernameProblem(username)
  return [
    ...(problem ? [`The user name must be ${problem.expected}.`] : []),
    ...problemsOfEach(claims, claimNames),
    ...claimsProblems(claims),
  ]
}

async function whyTaken(
  { username }: Account,
  accounts: Pick<AccountStore, 'findByUsername' | 'list'>,
): Promise<Refused> {
  const taken = await accounts.findByUsername(username)
  const { username: name = username } = taken ?? {}
  if (taken)
    return new Refused('username_taken', { username: name }, `An account ${name} exists already.`)
  const key = await skeletonKey(username)
  for (const { username: other } of await accounts.list()) {
    if ((await skeletonKey(other)) !== key) continue
    const message = `The user name ${username} looks like ${other}, which is taken. Choose another user name.`
    return new Refused('username_alike', { username, other }, message)
  }
  const message = `The user name ${username} has just been taken. Choose another user name.`
  return new Refused('username_taken', { username }, message)
}

/**
 * Sets and removes claims of an account.
 * @throws Refused for unknown or invalid claims; NotFound
 */
export async function setClaims(
  account: Account,
  changes: ClaimChanges,
  surroundings: Surroundings,
): Promise<Account> {
  const { claimNames, now } = surroundings
  if (Object.keys(changes.set).length + changes.removed.length === 0) {
    throw new Refused('claims_unchanged', {}, 'No claim is given, so there is nothing to change.')
  }
  refuse(problemsOfEach(changes.set, claimNames))
  const both = changes.removed.filter((name) => Object.hasOwn(changes.set, name))
  refuse(both.map((name) => `The claim ${name} is both set and removed. Leave out one of the two.`))
  const missing = changes.removed.filter((name) => !Object.hasOwn(account.claims, name))
  refuse(missing.map((name) => `Account ${account.username} has no claim ${name}.`))
  return change(account, 'account_claims_set', surroundings, ({ claims: before }) => {
    const claims = changeClaims(before, changes.set, { ...changes, now })
    refuse(claimsProblems(claims))
    return { claims }
  })
}

export interface RenewedPassword extends NewAccount {
  /**
   * Why sessions were not ended. The new password must be shown all the same, because it is stored.
   */
  readonly notSignedOut?: StoreUnavailable
}

/** Gives an account a one-time password and ends its sessions. @throws NotFound */
export async function renewPassword(
  account: Account,
  surroundings: Surroundings,
): Promise<RenewedPassword> {
  const { passwords, now } = surroundings
  const made = await newAccount(account, passwords, { now: () => now })
  const { passwordHash } = made.account
  const renewed = await change(account, 'account_password_renewed', surroundings, () => ({
    passwordHash,
    mustChangePassword: true,
  }))
  try {
    await signOut(account, surroundings)
    return { ...made, account: renewed }
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    return { ...made, account: renewed, notSignedOut: error }
  }
}

/** Forbids sign-ins to an account and ends its sessions. @throws NotFound; StoreUnavailable */
export async function disableAccount(
  account: Account,
  surroundings: Surroundings,
): Promise<Account> {
  const changed = await change(account, 'account_disabled', surroundings, () => ({
    isDisabled: true,
  }))
  await signOut(account, surroundings)
  return changed
}

/** Allows sign-ins to an account again. @throws NotFound */
export function enableAccount(account: Account, surroundings: Surroundings): Promise<Account> {
  return change(account, 'account_enabled', surroundings, () => ({ isDisabled: false }))
}

/**
 * Lifts the limits that wrong passwords put on an account, at every node. Any change of an account
 * does so (`lifts.ts`), hence this one changes nothing else. Limits of networks stay.
 * @throws NotFound
 */
export function unlockAccount(account: Account, surroundings: Surroundings): Promise<Account> {
  return change(account, 'account_unlocked', surroundings, () => ({}))
}

/** The removed account, or the user name of a removed record whose MAC was wrong. */
export type Removed = { readonly account: Account } | { readonly forged: string }

/**
 * Removes an account with its consents and ends its sessions.
 * @throws NotFound; StoreUnavailable, after which the order must be repeated
 */
export async function removeAccount(
  username: string,
  surroundings: Surroundings,
): Promise<Removed> {
  const { accounts } = surroundings
  const by = ordered('account_removed', surroundings)
  const forged = (await accounts.forged()).find(
    (each) => nameKey(each.username) === nameKey(username),
  )
  if (forged) {
    await signOut(forged, surroundings)
    await accounts.remove(forged.id, by)
    return { forged: forged.username }
  }
  const account = await findAccount(username, surroundings)
  // Sessions end first: if that fails, the account still exists and the order can be repeated.
  await disableAccount(account, surroundings)
  await accounts.remove(account.id, by)
  return { account }
}

/** The account with this user name. @throws NotFound */
export async function findAccount(
  username: string,
  { accounts }: Pick<Surroundings, 'accounts'>,
): Promise<Account> {
  const account = await accounts.findByUsername(username)
  if (account) return account
  throw new NotFound('account_not_found', { username }, `There is no account ${username}.`)
}

/** True if an enabled administrator exists. The first start adds one only to an empty store. */
export async function hasAdministrator({
  accounts,
}: Pick<Surroundings, 'accounts'>): Promise<boolean> {
  const all = await accounts.list()
  return all.some((account) => account.isAdministrator && !account.isDisabled)
}

/**
 * Ends the sessions of an account.
 * @throws StoreUnavailable, after which the order must be repeated
 */
async function signOut(
  { id, username }: Pick<Account, 'id' | 'username'>,
  { endSessions }: Pick<Surroundings, 'endSessions'>,
): Promise<void> {
  try {
    await endSessions(id)
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    const left = `some sessions and tokens of ${username} may still be valid: do this again`
    throw new StoreUnavailable(`${error.message}; ${left}`, error)
  }
}

async function change(
  { id, username }: Account,
  action: AccountAction,
  surroundings: Pick<Surroundings, 'accounts' | 'order' | 'now'>,
  decide: (current: Account) => AccountChanges,
): Promise<Account> {
  const { accounts, now } = surroundings
  const decideNow = (current: Account) => ({
    ...decide(current),
    updatedAt: nextChange(current, now),
  })
  const changed = await accounts.change(id, decideNow, ordered(action, surroundings))
  if (changed) return changed
  const message = `Account ${username} was removed meanwhile.`
  throw new NotFound('account_removed_meanwhile', { username }, message)
}

function problemsOfEach(claims: Claims, names: readonly string[]): readonly string[] {
  const unknown = Object.keys(claims).map((name) => unknownClaim(name, names))
  const wrong = Object.entries(claims).map(([name, value]) => {
    const problem = claimProblem(name, value)
    if (!problem) return undefined
    const instead = problem.instead === undefined ? '' : ` Write ${problem.instead} instead.`
    return `The claim ${name} must be ${problem.expected}.${instead}`
  })
  return [...unknown, ...wrong].filter((problem) => problem !== undefined)
}

/** Throws if there are problems. @throws Refused with all of them */
function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new Refused('account_invalid', { problems }, problems.join('\n'))
}
