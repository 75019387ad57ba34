import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { Account } from '../accounts/account-store.ts'
import { claimNames, claimsAdvice } from '../accounts/claims.ts'
import { importPeople, readPeople } from '../accounts/import.ts'
import {
  addAccount,
  disableAccount,
  enableAccount,
  findAccount,
  hasAdministrator,
  removeAccount,
  renewPassword,
  type Surroundings,
  setClaims,
  unlockAccount,
} from '../accounts/operate.ts'
import { createPasswords } from '../accounts/password.ts'
import { nameKey } from '../accounts/skeleton.ts'
import { usernameProblem } from '../accounts/username.ts'
import type { Subject } from '../audit/record.ts'
import { type ClaimOptions, readClaims, withClaims } from './account-claims.ts'
import { type Answer, listAccounts, printAccount, printAnswer } from './account-words.ts'
import { addAuditEvents } from './audit-events.ts'
import { type Context, JSON_OPTION, type JsonOption, readArgumentFile } from './context.ts'
import { type OrderOptions, withOrder } from './order-options.ts'
import { type Session, withSession } from './session.ts'
import { plainJson } from './terminal.ts'
import { textArgument } from './words.ts'

const SIGN_OUT =
  '\nSessions and refresh tokens end at once. Access tokens in JWT format stay valid until they expire\n' +
  '(tokens.accessToken), because APIs verify them without asking Keyturn.'

const UNLOCK =
  '\nThe command lifts all limits that wrong passwords put on this account, at every node. An address or network\n' +
  'that sent too many wrong passwords for any accounts stays limited until signIn.window is over.'

const IMPORT = `
  {"username":"ada","claims":{"name":"Ada","email":"ada@example.com","email_verified":true},
   "passwordHash":"$argon2id$v=19$m=19456,t=2,p=1$...","isAdministrator":false,"isDisabled":false}
in one line; only username is required. Without a hash the person gets a one-time password. All lines are checked
before anybody is added. The command prints a line for each added account, and an error for each taken user name.`

interface AddOptions extends ClaimOptions, OrderOptions {
  readonly administrator?: true
}

interface SetOptions extends ClaimOptions, OrderOptions {
  readonly remove?: readonly string[]
}

/** Runs the work of a command with the stores open. */
type InSession = (work: (session: Session) => Promise<void>) => Promise<void>

export function addAccounts(accounts: Command, program: Command, context: Context): void {
  const session: InSession = (work) => withSession(program, context, work)
  addLookUps(accounts, session)
  addNewcomers(accounts, session)
  addOrders(accounts, session)
}

/** Adds commands that change nothing. */
function addLookUps(accounts: Command, session: InSession): void {
  accounts
    .command('list')
    .description('list all accounts in the order of user names')
    .option(...JSON_OPTION)
    .action((options: JsonOption) => session((open) => listAccounts(open, options)))
  accounts
    .command('show')
    .description('show one account with its claims')
    .argument('<username>')
    .option(...JSON_OPTION)
    .action((username: string, options: JsonOption) =>
      session(async (open) =>
        printAccount(await findAccount(username, open.stores), options, open),
      ),
    )
  const about = {
    kind: 'account',
    argument: ['username', 'only events of accounts with this user name, removed ones included'],
    isNamed: ({ username }: Subject, named: string) =>
      username !== undefined && nameKey(username) === nameKey(named),
  } as const
  addAuditEvents(accounts, about, session)
}

/** Adds commands that add accounts. */
function addNewcomers(accounts: Command, session: InSession): void {
  const add = accounts
    .command('add')
    .description('add an account with a one-time password, which is shown only once')
    .argument('<username>', 'user name; case does not matter', textArgument(usernameProblem))
    .option('--administrator', 'marks an administrator; nothing depends on it yet')
  withClaims(withOrder(add).option(...JSON_OPTION)).action(
    (username: string, options: AddOptions) =>
      session(async (open) => {
        const { administrator: isAdministrator = false } = options
        const details = { username, claims: readClaims(options), isAdministrator }
        const made = await addAccount(details, surroundingsOf(open, options))
        advise(made.account, open)
        printAnswer({ words: 'Added', ...made }, options, open)
        await warnWithoutAdministrator(open)
      }),
  )
  withOrder(accounts.command('import'))
    .description('import accounts from JSON Lines: one JSON object in each line')
    .argument('<file>', 'a file, or - for standard input')
    .addHelpText('after', IMPORT)
    .action((file: string, order: OrderOptions) => session((open) => importFile(file, open, order)))
}

/** Adds commands that change one account. */
function addOrders(accounts: Command, session: InSession): void {
  /** Adds a command that changes an existing account. */
  const about = <O extends OrderOptions>(
    name: string,
    description: string,
    work: (account: Account, open: Session, options: O) => Promise<Answer>,
  ) =>
    aboutName<O>(name, description, async (username, open, options) =>
      work(await findAccount(username, open.stores), open, options),
    )
  /** Adds a command that looks the account up itself. */
  const aboutName = <O extends OrderOptions>(
    name: string,
    description: string,
    work: (username: string, open: Session, options: O) => Promise<Answer | undefined>,
  ) =>
    withOrder(accounts.command(name))
      .description(description)
      .argument('<username>')
      .option(...JSON_OPTION)
      .action((username: string, options: O) =>
        session(async (open) => {
          const answer = await work(username, open, options)
          if (!answer) return
          printAnswer(answer, options, open)
          if (answer.failure) throw answer.failure
          await warnWithoutAdministrator(open)
        }),
      )

  withClaims(
    about('set', 'change claims of an account', change).option(
      '--remove <claim>',
      'remove this claim; can be repeated',
      (name: string, before: readonly string[] = []) => [...before, name],
    ),
  )
  about('passwd', 'make a new one-time password and end all sessions', renew)
  about('disable', 'forbid sign-ins and end all sessions', disable).addHelpText('after', SIGN_OUT)
  about('enable', 'allow sign-ins of a disabled account again', async (account, open, options) => ({
    words: 'Enabled',
    account: await enableAccount(account, surroundingsOf(open, options)),
  }))
  about(
    'unlock',
    'lift the limits after too many wrong passwords; passwd does so too',
    async (account, open, options) => ({
      words: 'Unlocked',
      account: await unlockAccount(account, surroundingsOf(open, options)),
    }),
  ).addHelpText('after', UNLOCK)
  aboutName('remove', 'remove an account with its consents and end all sessions', remove)
    .addHelpText('after', SIGN_OUT)
    .addHelpText(
      'after',
      'An account of the same name that is added later is another person (another sub).',
    )
}

function surroundingsOf({ stores, config, now }: Session, order: OrderOptions): Surroundings {
  return {
    accounts: stores.accounts,
    order,
    passwords: createPasswords(config.password.argon2),
    endSessions: (id) => stores.artifacts.forget('accountId', id),
    claimNames: claimNames(config.claims),
    now,
  }
}

async function change(account: Account, open: Session, options: SetOptions): Promise<Answer> {
  const changes = { set: readClaims(options), removed: options.remove ?? [] }
  const changed = await setClaims(account, changes, surroundingsOf(open, options))
  advise(changed, open)
  return { words: 'Changed', account: changed }
}

async function importFile(file: string, open: Session, order: OrderOptions): Promise<void> {
  const surroundings = surroundingsOf(open, order)
  const lines = file === '-' ? await text(open.stdin) : await readArgumentFile(file)
  const people = await readPeople(lines, surroundings.claimNames)
  for await (const { account, oneTimePassword } of importPeople(people, surroundings)) {
    const { username, id } = account
    const secret = oneTimePassword === undefined ? {} : { oneTimePassword }
    open.print(plainJson(JSON.stringify({ username, id, ...secret })))
  }
}

async function renew(account: Account, open: Session, order: OrderOptions): Promise<Answer> {
  const { notSignedOut, ...made } = await renewPassword(account, surroundingsOf(open, order))
  return { words: 'New password for', ...made, failure: notSignedOut }
}

async function disable(account: Account, open: Session, order: OrderOptions): Promise<Answer> {
  const changed = await disableAccount(account, surroundingsOf(open, order))
  return { words: 'Disabled and signed out', account: changed }
}

async function remove(
  username: string,
  open: Session,
  order: OrderOptions,
): Promise<Answer | undefined> {
  const removed = await removeAccount(username, surroundingsOf(open, order))
  if ('account' in removed) return { words: 'Removed and signed out', account: removed.account }
  open.warn(`Removed ${removed.forged}, whose record failed its check.`)
  return undefined
}

function advise({ claims }: Account, { warn }: Session): void {
  const advice = claimsAdvice(claims)
  if (advice !== undefined) warn(advice)
}

async function warnWithoutAdministrator({ stores, warn }: Session): Promise<void> {
  if (await hasAdministrator(stores)) return
  warn('No enabled account is an administrator. Add one: keyturn accounts add NAME --administrator')
}
