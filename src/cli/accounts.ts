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
import { usernameProblem } from '../accounts/username.ts'
import { type ClaimOptions, readClaims, withClaims } from './account-claims.ts'
import { type Answer, listAccounts, printAccount, printAnswer } from './account-words.ts'
import { type Context, JSON_OPTION, type JsonOption, readArgumentFile } from './context.ts'
import { type Session, withSession } from './session.ts'
import { plainJson } from './terminal.ts'
import { textArgument } from './words.ts'

const SIGN_OUT =
  '\nSessions and refresh tokens end at once. Access tokens in JWT format are checked without asking\n' +
  'Keyturn and stay valid until they expire (tokens.accessToken).'

const UNLOCK =
  '\nIt ends what wrong passwords did to this account, from whatever address and at every node. An address or\n' +
  'network from which very many wrong passwords came, for whatever accounts, has to wait until signIn.window is over.'

const IMPORT = `
  {"username":"ada","claims":{"name":"Ada","email":"ada@example.com","email_verified":true},
   "passwordHash":"$argon2id$v=19$m=19456,t=2,p=1$...","isAdministrator":false,"isDisabled":false}
in one line; all but username can be left out. Who comes without a hash gets a password for the first sign-in. All lines
are checked before anybody is added. The answer is a line for each, and the names that are taken.`

interface AddOptions extends ClaimOptions, JsonOption {
  readonly administrator?: true
}

interface SetOptions extends ClaimOptions, JsonOption {
  readonly remove?: readonly string[]
}

/** Does work for a command, with the stores open. */
type InSession = (work: (session: Session) => Promise<void>) => Promise<void>

export function addAccounts(accounts: Command, program: Command, context: Context): void {
  const session: InSession = (work) => withSession(program, context, work)
  addLookUps(accounts, session)
  addNewcomers(accounts, session)
  addOrders(accounts, session)
}

/** Commands that change nothing. */
function addLookUps(accounts: Command, session: InSession): void {
  accounts
    .command('list')
    .description('everybody, in order of user name')
    .option(...JSON_OPTION)
    .action((options: JsonOption) => session((open) => listAccounts(open, options)))
  accounts
    .command('show')
    .description('one person, with all that clients can be told')
    .argument('<username>')
    .option(...JSON_OPTION)
    .action((username: string, options: JsonOption) =>
      session(async (open) =>
        printAccount(await findAccount(username, open.stores), options, open),
      ),
    )
}

/** Commands by which people come. */
function addNewcomers(accounts: Command, session: InSession): void {
  withClaims(
    accounts
      .command('add')
      .description('add a person with a password for the first sign-in, which is shown once')
      .argument('<username>', 'case does not matter', textArgument(usernameProblem))
      .option('--administrator', 'marks an administrator; nothing depends on it yet')
      .option(...JSON_OPTION),
  ).action((username: string, options: AddOptions) =>
    session(async (open) => {
      const { administrator: isAdministrator = false } = options
      const details = { username, claims: readClaims(options), isAdministrator }
      const made = await addAccount(details, surroundingsOf(open))
      advise(made.account, open)
      printAnswer({ words: 'Added', ...made }, options, open)
      await warnWithoutAdministrator(open)
    }),
  )
  accounts
    .command('import')
    .description('add people from elsewhere: a JSON object in each line')
    .argument('<file>', 'a file, or - for standard input')
    .addHelpText('after', IMPORT)
    .action((file: string) => session((open) => importFile(file, open)))
}

/** Commands that do something about one person. */
function addOrders(accounts: Command, session: InSession): void {
  /** A command about one person. */
  const about = <O extends JsonOption>(
    name: string,
    description: string,
    work: (account: Account, open: Session, options: O) => Promise<Answer>,
  ) =>
    aboutName<O>(name, description, async (username, open, options) =>
      work(await findAccount(username, open.stores), open, options),
    )
  /** The same where nobody is looked for before. */
  const aboutName = <O extends JsonOption>(
    name: string,
    description: string,
    work: (username: string, open: Session, options: O) => Promise<Answer | undefined>,
  ) =>
    accounts
      .command(name)
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
    about('set', 'change what clients are told of a person', change).option(
      '--remove <claim>',
      'this claim is not known any more; any number of times',
      (name: string, before: readonly string[] = []) => [...before, name],
    ),
  )
  about('passwd', 'make a new password for one sign-in, and sign them out', renew)
  about('disable', 'let a person sign in no more, and sign them out', disable).addHelpText(
    'after',
    SIGN_OUT,
  )
  about('enable', 'let a disabled person sign in again', async (account, open) => ({
    words: 'Enabled',
    account: await enableAccount(account, surroundingsOf(open)),
  }))
  about(
    'unlock',
    'let a person try at once who has to wait after wrong passwords; passwd does it too',
    async (account, open) => ({
      words: 'Unlocked',
      account: await unlockAccount(account, surroundingsOf(open)),
    }),
  ).addHelpText('after', UNLOCK)
  aboutName('remove', 'forget a person and what they agreed to, and sign them out', remove)
    .addHelpText('after', SIGN_OUT)
    .addHelpText('after', 'A person of the same name who is added later is somebody else.')
}

function surroundingsOf({ stores, config, now }: Session): Surroundings {
  return {
    accounts: stores.accounts,
    passwords: createPasswords(config.password.argon2),
    endSessions: (id) => stores.artifacts.forget('accountId', id),
    claimNames: claimNames(config.claims),
    now,
  }
}

async function change(account: Account, open: Session, options: SetOptions): Promise<Answer> {
  const changes = { set: readClaims(options), removed: options.remove ?? [] }
  const changed = await setClaims(account, changes, surroundingsOf(open))
  advise(changed, open)
  return { words: 'Changed', account: changed }
}

async function importFile(file: string, open: Session): Promise<void> {
  const surroundings = surroundingsOf(open)
  const lines = file === '-' ? await text(open.stdin) : await readArgumentFile(file)
  const people = await readPeople(lines, surroundings.claimNames)
  for await (const { account, oneTimePassword } of importPeople(people, surroundings)) {
    const { username, id } = account
    const secret = oneTimePassword === undefined ? {} : { oneTimePassword }
    open.print(plainJson(JSON.stringify({ username, id, ...secret })))
  }
}

async function renew(account: Account, open: Session): Promise<Answer> {
  const { notSignedOut, ...made } = await renewPassword(account, surroundingsOf(open))
  return { words: 'New password for', ...made, failure: notSignedOut }
}

async function disable(account: Account, open: Session): Promise<Answer> {
  const changed = await disableAccount(account, surroundingsOf(open))
  return { words: 'Disabled and signed out', account: changed }
}

async function remove(username: string, open: Session): Promise<Answer | undefined> {
  const removed = await removeAccount(username, surroundingsOf(open))
  if ('account' in removed) return { words: 'Removed and signed out', account: removed.account }
  open.warn(`Removed ${removed.forged}, which failed its check.`)
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
