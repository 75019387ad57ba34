import type { Command } from 'commander'
import type { Account, AccountChanges } from '../accounts/account-store.ts'
import { newAccount } from '../accounts/new-account.ts'
import { createPasswords } from '../accounts/password.ts'
import { toRfc3339 } from '../clock.ts'
import { nameProblem, proseProblem, usernameProblem } from '../config/text.ts'
import { NotFound, Refused, StoreUnavailable } from '../errors.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { type Session, withSession } from './session.ts'
import { table } from './table.ts'
import { fromNow, textArgument } from './words.ts'

const SIGN_OUT =
  '\nSessions and refresh tokens end at once. Access tokens in JWT format are checked without asking\n' +
  'Keyturn and stay valid until they expire (tokens.accessToken).'

export function addAccounts(program: Command, context: Context): void {
  const accounts = program.command('accounts').description('the people who sign in')
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)
  /** A command about one person. */
  const about = (
    name: string,
    description: string,
    work: (account: Account, session: Session) => Promise<Answer>,
  ) =>
    accounts
      .command(name)
      .description(description)
      .argument('<username>')
      .option(...JSON_OPTION)
      .action((username: string, options: JsonOption) =>
        session(async (open) => {
          if (name === 'remove' && (await removeForged(username, open))) return
          const answer = await work(await findAccount(username, open), open)
          printAnswer(answer, options, open)
          await answer.afterwards?.()
          await warnWithoutAdministrator(open)
        }),
      )

  accounts
    .command('list')
    .description('everybody, in order of user name')
    .option(...JSON_OPTION)
    .action((options: JsonOption) => session((open) => listAccounts(open, options)))
  accounts
    .command('add')
    .description('add a person with a password for the first sign-in, which is shown once')
    .argument('<username>', 'case does not matter', textArgument(usernameProblem))
    .option('--name <name>', 'as clients see it', textArgument(proseProblem))
    .option('--email <address>', 'as clients see it; not verified', textArgument(nameProblem))
    .option('--administrator', 'marks an administrator; nothing depends on it yet')
    .option(...JSON_OPTION)
    .action((username: string, options: AddOptions) =>
      session(async (open) => {
        printAnswer(await addAccount(username, options, open), options, open)
        await warnWithoutAdministrator(open)
      }),
    )
  about('passwd', 'make a new password for one sign-in, and sign them out', renewPassword)
  about('disable', 'let a person sign in no more, and sign them out', disableAccount).addHelpText(
    'after',
    SIGN_OUT,
  )
  about('enable', 'let a disabled person sign in again', enableAccount)
  about('remove', 'forget a person and what they agreed to, and sign them out', removeAccount)
    .addHelpText('after', SIGN_OUT)
    .addHelpText('after', 'A person of the same name who is added later is somebody else.')
}

/** What became of an account. */
interface Answer {
  readonly words: string
  readonly account: Account
  readonly oneTimePassword?: string
  /** Done once it is printed. */
  readonly afterwards?: () => Promise<void>
}

interface AddOptions extends JsonOption {
  readonly name?: string
  readonly email?: string
  readonly administrator?: true
}

async function listAccounts(session: Session, { json }: JsonOption): Promise<void> {
  const accounts = await session.stores.accounts.list()
  if (json) return printJson(session, accounts.map(accountRow))
  if (accounts.length === 0) {
    return session.print(
      'There is nobody yet. The first start of the server adds an administrator.',
    )
  }
  const rows = accounts.map((account) => [
    account.username,
    account.name ?? '-',
    account.email ?? '-',
    account.isAdministrator ? 'administrator' : 'person',
    standing(account),
    fromNow(account.createdAt, session.now),
  ])
  session.print(table(['USER NAME', 'NAME', 'EMAIL', 'ROLE', 'STANDING', 'ADDED'], rows, session))
}

function standing({ isDisabled, mustChangePassword }: Account): string {
  if (isDisabled) return 'disabled'
  return mustChangePassword ? 'must change password' : 'enabled'
}

async function addAccount(
  username: string,
  { name, email, administrator }: AddOptions,
  { stores, config, clock }: Session,
): Promise<Answer> {
  const details = {
    username,
    name: name ?? null,
    email: email ?? null,
    isAdministrator: administrator === true,
  }
  const made = await newAccount(details, createPasswords(config.password.argon2), clock)
  if (!(await stores.accounts.add(made.account))) {
    throw new Refused(`There is an account ${made.account.username} already.`)
  }
  return { words: 'Added', ...made }
}

async function renewPassword(account: Account, session: Session): Promise<Answer> {
  const passwords = createPasswords(session.config.password.argon2)
  const { oneTimePassword, account: fresh } = await newAccount(account, passwords, {
    now: () => session.now,
  })
  const { passwordHash } = fresh
  const changed = await change(account, { passwordHash, mustChangePassword: true }, session)
  // Shown before anything can fail: the old one is gone.
  const afterwards = () => endSessions(account, session)
  return { words: 'New password for', account: changed, oneTimePassword, afterwards }
}

async function disableAccount(account: Account, session: Session): Promise<Answer> {
  const changed = await change(account, { isDisabled: true }, session)
  await endSessions(account, session)
  return { words: 'Disabled and signed out', account: changed }
}

async function enableAccount(account: Account, session: Session): Promise<Answer> {
  return { words: 'Enabled', account: await change(account, { isDisabled: false }, session) }
}

async function removeAccount(account: Account, session: Session): Promise<Answer> {
  // Still there if the sessions cannot be ended, so that the command can be given again.
  await change(account, { isDisabled: true }, session)
  await endSessions(account, session)
  await session.stores.accounts.remove(account.id)
  return { words: 'Removed and signed out', account }
}

/**
 * Removes an account that somebody else wrote or changed: no other command takes it for one.
 * @returns false where there is none
 */
async function removeForged(username: string, session: Session): Promise<boolean> {
  const { accounts } = session.stores
  const forged = await accounts.forged()
  const row = forged.find((each) => each.username === username.toLowerCase())
  if (!row) return false
  await endSessions(row, session)
  await accounts.remove(row.id)
  session.warn(`Removed ${row.username}, which failed its check.`)
  return true
}

async function change(
  account: Account,
  changes: AccountChanges,
  { stores, now }: Session,
): Promise<Account> {
  const changed = await stores.accounts.change(account.id, () => ({ ...changes, updatedAt: now }))
  if (changed) return changed
  throw new NotFound(`Account ${account.username} was removed meanwhile.`)
}

/** @throws StoreUnavailable, after which the command is to be given again */
async function endSessions(
  { id, username }: Pick<Account, 'id' | 'username'>,
  { stores }: Session,
): Promise<void> {
  try {
    await stores.artifacts.forget('accountId', id)
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    const left = `not all sessions and tokens of ${username} were ended: give this command again`
    throw new StoreUnavailable(`${error.message}; ${left}`, error)
  }
}

async function findAccount(username: string, { stores }: Session): Promise<Account> {
  const account = await stores.accounts.findByUsername(username)
  if (account) return account
  throw new NotFound(`There is no account ${username}. See: keyturn accounts list`)
}

/** The first start adds an administrator only where there is nobody at all. */
async function warnWithoutAdministrator({ stores, warn }: Session): Promise<void> {
  const accounts = await stores.accounts.list()
  if (accounts.some((account) => account.isAdministrator && !account.isDisabled)) return
  warn('No enabled account is an administrator. Add one: keyturn accounts add NAME --administrator')
}

function printAnswer(
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
    `Password ${oneTimePassword}\nIt is shown this once and must be changed at the next sign-in.`,
  )
}

function accountRow({ passwordHash: _, createdAt, updatedAt, ...account }: Account) {
  return { ...account, createdAt: toRfc3339(createdAt), updatedAt: toRfc3339(updatedAt) }
}
