import type { Account } from '../accounts/account-store.ts'
import { toRfc3339 } from '../clock.ts'
import { type Context, type JsonOption, printJson } from './context.ts'
import type { Session } from './session.ts'
import { table } from './table.ts'
import { fromNow, instant } from './words.ts'

/** Output of the commands about accounts. */

/** Answer of a command that changed an account. */
export interface Answer {
  readonly words: string
  readonly account: Account
  readonly oneTimePassword?: string
  /** Failure after the change, to be thrown once the answer is printed. */
  readonly failure?: Error | undefined
}

export async function listAccounts(session: Session, { json }: JsonOption): Promise<void> {
  const accounts = await session.stores.accounts.list()
  if (json) return printJson(session, accounts.map(accountRow))
  if (accounts.length === 0) {
    return session.print(
      'There are no accounts yet. The first start of the server adds an administrator.',
    )
  }
  const rows = accounts.map((account) => [
    account.username,
    account.claims.name ?? '-',
    account.claims.email ?? '-',
    account.isAdministrator ? 'administrator' : 'person',
    standing(account),
    fromNow(account.createdAt, session.now),
  ])
  session.print(table(['USER NAME', 'NAME', 'EMAIL', 'ROLE', 'STANDING', 'ADDED'], rows, session))
}

export function printAccount(account: Account, { json }: JsonOption, session: Session): void {
  if (json) {
    printJson(session, accountRow(account))
    return
  }
  const { id, username, isAdministrator, createdAt, updatedAt, claims } = account
  const rows = [
    ['id (sub)', id],
    ['role', isAdministrator ? 'administrator' : 'person'],
    ['standing', standing(account)],
    ['added', instant(createdAt, session.now)],
    ['changed', instant(updatedAt, session.now)],
    ...Object.entries(claims).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  ]
  session.print(table(['user name', username], rows, session))
}

export function printAnswer(
  { words, account, oneTimePassword }: Answer,
  { json }: JsonOption,
  context: Pick<Context, 'print'>,
): void {
  if (json) {
    const secret = oneTimePassword === undefined ? {} : { oneTimePassword }
    printJson(context, { ...accountRow(account), ...secret })
    return
  }
  context.print(`${words} ${account.username}.`)
  if (oneTimePassword === undefined) return
  context.print(
    `Password ${oneTimePassword}\nThe password is shown only this once and must be changed at the next sign-in.`,
  )
}

function standing({ isDisabled, mustChangePassword }: Account): string {
  if (isDisabled) return 'disabled'
  return mustChangePassword ? 'must change password' : 'enabled'
}

function accountRow({ passwordHash: _, createdAt, updatedAt, ...account }: Account) {
  return { ...account, createdAt: toRfc3339(createdAt), updatedAt: toRfc3339(updatedAt) }
}
