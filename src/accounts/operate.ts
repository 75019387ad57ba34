import { NotFound, Refused, StoreUnavailable } from '../errors.ts'
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

/** What an operator may do with accounts. */

export interface Surroundings {
  readonly accounts: AccountStore
  readonly passwords: Pick<Passwords, 'hash'>
  /** Ends all sessions and tokens of an account. @throws StoreUnavailable */
  readonly endSessions: (accountId: string) => Promise<void>
  /** Claims that accounts may have here (`claimNames`). */
  readonly claimNames: readonly string[]
  /** One instant for all that is done. */
  readonly now: number
}

/** What becomes of the claims of a person. */
export interface ClaimChanges {
  readonly set: Claims
  /** Names of claims that are not known any more. */
  readonly removed: readonly string[]
}

export type Details = AccountDetails & { readonly claims: Claims }

/**
 * Adds a person with a password for the first sign-in.
 * @throws Refused for what no account can be, and where the user name is taken
 */
export async function addAccount(
  details: Details,
  { accounts, passwords, claimNames, now }: Surroundings,
): Promise<NewAccount> {
  refuse(problemsOf(details, claimNames))
  const made = await newAccount(details, passwords, { now: () => now })
  if (await accounts.add(made.account)) return made
  throw await whyTaken(made.account, accounts)
}

/** All for which nobody can be added, whoever else is there, each a sentence of its own. */
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
    return new Refused('username_taken', { username: name }, `There is an account ${name} already.`)
  const key = await skeletonKey(username)
  for (const { username: other } of await accounts.list()) {
    if ((await skeletonKey(other)) !== key) continue
    const message = `The user name ${username} looks like ${other}, which is taken. Choose another one.`
    return new Refused('username_alike', { username, other }, message)
  }
  const message = `The user name ${username} was taken at this moment. Choose another one.`
  return new Refused('username_taken', { username }, message)
}

/** @throws Refused for claims that are none; NotFound */
export async function setClaims(
  account: Account,
  changes: ClaimChanges,
  surroundings: Surroundings,
): Promise<Account> {
  const { claimNames, now } = surroundings
  if (Object.keys(changes.set).length + changes.removed.length === 0) {
    throw new Refused('claims_unchanged', {}, 'Nothing is to change: no claim is named.')
  }
  refuse(problemsOfEach(changes.set, claimNames))
  const both = changes.removed.filter((name) => Object.hasOwn(changes.set, name))
  refuse(both.map((name) => `The claim ${name} is to be set and to be removed. Name it once.`))
  const missing = changes.removed.filter((name) => !Object.hasOwn(account.claims, name))
  refuse(missing.map((name) => `Account ${account.username} has no claim ${name}.`))
  return change(account, surroundings, ({ claims: before }) => {
    const claims = changeClaims(before, changes.set, { ...changes, now })
    refuse(claimsProblems(claims))
    return { claims }
  })
}

export interface RenewedPassword extends NewAccount {
  /** Why not all sessions were ended. The password before is gone all the same, so the new one must be shown. */
  readonly notSignedOut?: StoreUnavailable
}

/** Gives a person a new password for one sign-in, and signs them out. @throws NotFound */
export async function renewPassword(
  account: Account,
  surroundings: Surroundings,
): Promise<RenewedPassword> {
  const { passwords, now } = surroundings
  const made = await newAccount(account, passwords, { now: () => now })
  const { passwordHash } = made.account
  const renew = () => ({ passwordHash, mustChangePassword: true })
  const renewed = { ...made, account: await change(account, surroundings, renew) }
  try {
    await signOut(account, surroundings)
    return renewed
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    return { ...renewed, notSignedOut: error }
  }
}

/** Lets a person sign in no more, and signs them out. @throws NotFound; StoreUnavailable */
export async function disableAccount(
  account: Account,
  surroundings: Surroundings,
): Promise<Account> {
  const changed = await change(account, surroundings, () => ({ isDisabled: true }))
  await signOut(account, surroundings)
  return changed
}

/** @throws NotFound */
export function enableAccount(account: Account, surroundings: Surroundings): Promise<Account> {
  return change(account, surroundings, () => ({ isDisabled: false }))
}

/**
 * Lifts the limits that wrong passwords have put on a person, at every node: each change of an account does
 * (`lifts.ts`), a new password too. Limits of the networks that they came from stay.
 * @throws NotFound
 */
export function unlockAccount(account: Account, surroundings: Surroundings): Promise<Account> {
  return change(account, surroundings, () => ({}))
}

/** Who was removed: a person, or a record that somebody else wrote or changed and nothing took for one. */
export type Removed = { readonly account: Account } | { readonly forged: string }

/**
 * Forgets a person and what they agreed to, and signs them out.
 * @throws NotFound; StoreUnavailable, after which it is to be done again
 */
export async function removeAccount(
  username: string,
  surroundings: Surroundings,
): Promise<Removed> {
  const { accounts } = surroundings
  const forged = (await accounts.forged()).find(
    (each) => nameKey(each.username) === nameKey(username),
  )
  if (forged) {
    await signOut(forged, surroundings)
    await accounts.remove(forged.id)
    return { forged: forged.username }
  }
  const account = await findAccount(username, surroundings)
  // Still there if the sessions cannot be ended, so that it can be done again.
  await disableAccount(account, surroundings)
  await accounts.remove(account.id)
  return { account }
}

/** @throws NotFound */
export async function findAccount(
  username: string,
  { accounts }: Pick<Surroundings, 'accounts'>,
): Promise<Account> {
  const account = await accounts.findByUsername(username)
  if (account) return account
  throw new NotFound('account_not_found', { username }, `There is no account ${username}.`)
}

/** May anybody administer? The first start adds an administrator only where there is nobody at all. */
export async function hasAdministrator({
  accounts,
}: Pick<Surroundings, 'accounts'>): Promise<boolean> {
  const all = await accounts.list()
  return all.some((account) => account.isAdministrator && !account.isDisabled)
}

/** @throws StoreUnavailable, after which it is to be done again */
async function signOut(
  { id, username }: Pick<Account, 'id' | 'username'>,
  { endSessions }: Pick<Surroundings, 'endSessions'>,
): Promise<void> {
  try {
    await endSessions(id)
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    const left = `not all sessions and tokens of ${username} were ended: do this again`
    throw new StoreUnavailable(`${error.message}; ${left}`, error)
  }
}

async function change(
  { id, username }: Account,
  { accounts, now }: Pick<Surroundings, 'accounts' | 'now'>,
  decide: (current: Account) => AccountChanges,
): Promise<Account> {
  const changed = await accounts.change(id, (current) => ({
    ...decide(current),
    updatedAt: nextChange(current, now),
  }))
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

/** @throws Refused with all that is wrong */
function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new Refused('account_invalid', { problems }, problems.join('\n'))
}
