import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'
import type { Account, AccountStore } from './account-store.ts'
import { type Attempt, type AttemptLimits, createAttempts } from './attempts.ts'
import type { SharedCounts } from './counters.ts'
import { createGate } from './gate.ts'
import { type Memory, recall } from './known-browser.ts'
import { ownLane, strangersLane } from './lanes.ts'
import type { Passwords } from './password.ts'
import { createPasswordChanges, isUnchanged, type PasswordChange } from './password-changes.ts'

export type SignInOutcome =
  | { readonly outcome: 'signed-in'; readonly account: Account }
  /** The password was right and good for one use: `changePassword` comes next. */
  | { readonly outcome: 'must-change'; readonly account: Account }
  | Refused
  | Limited

/** Nobody outside learns why: both fields are for the log. */
export interface Refused {
  readonly outcome: 'refused'
  readonly reason: 'unknown-name' | 'wrong-password' | 'disabled' | 'changed-meanwhile'
  /** Whose name was typed; undefined for a name that nobody has, which may be a password. */
  readonly account: Account | undefined
}

export type ChangeOutcome = Exclude<PasswordChange, { outcome: 'busy' }> | Limited

/** Too many attempts went wrong, or too many people sign in at this moment. */
export interface Limited {
  readonly outcome: 'limited'
  readonly cause: 'attempts' | 'busy'
  /** Seconds. */
  readonly retryAfter: number
  /** Whose name was typed, where it was looked up at all. */
  readonly account?: Account | undefined
}

export interface SignIn {
  /** Shortest password that `changePassword` takes, in characters. */
  readonly minimumLength: number
  /**
   * @param attempt `address` is the IP address that the person comes from; `memories`, what the
   *   browser provably remembers of having signed in; `session`, the one that it has
   */
  signIn(attempt: {
    readonly username: string
    readonly password: string
    readonly address: string
    readonly memories?: readonly Memory[]
    readonly session?: SignInSession | undefined
  }): Promise<SignInOutcome>
  /** @param change `account` as it was when its old password was proved */
  changePassword(change: {
    readonly account: Account
    readonly password: string
  }): Promise<ChangeOutcome>
}

/** That a browser is signed in, and is asked for the password again. */
export interface SignInSession {
  readonly accountId: string
  readonly uid: string
}

export interface SignInOptions {
  readonly accounts: Pick<AccountStore, 'findById' | 'findByUsername' | 'change'>
  readonly password: Passwords
  /** Those left out have their default. */
  readonly limits: Partial<AttemptLimits>
  /** Where several processes count attempts together. */
  readonly redis?: SharedCounts | undefined
  readonly clock: Pick<Clock, 'now'>
  /** Argon2 runs at once; others wait in line, up to `waiting`, and are then turned away. */
  readonly work?: { readonly atOnce: number; readonly waiting: number }
  /** Told how each attempt to sign in ended. */
  readonly observe?: (ended: 'right' | 'wrong' | Limited['cause']) => void
  /** NIST SP 800-63B-4, 3.1.1.2 asks for 15 where the password is the only factor. */
  readonly minimumLength?: number
}

/** Two of libuv's four threads; 30 waiting take about a second at the default cost. */
const DEFAULT_WORK = { atOnce: 2, waiting: 30 }
const BUSY_RETRY_AFTER = 5

/** No control characters and no halves of characters, which not every database takes as a query. */
const POSSIBLE_NAME = /^[^\p{Cc}\p{Cs}]{1,256}$/u

/**
 * Signs people in with user name and password. Every answer costs one Argon2 run - also for a name
 * that does not exist - except 'limited', which costs none. The store is asked before the attempt is counted
 * where the browser signed in before, and at a limit of the account, which may have been lifted.
 */
export function createSignIn({
  accounts,
  password: passwords,
  limits,
  redis,
  clock,
  work = DEFAULT_WORK,
  observe = () => {},
  minimumLength = 15,
}: SignInOptions): SignIn {
  const attempts = createAttempts(limits, redis, clock)
  const gate = createGate(work)
  const changes = createPasswordChanges({ accounts, passwords, gate, clock, minimumLength })
  const decoy = passwords.decoy()
  const busy = { outcome: 'limited', cause: 'busy', retryAfter: BUSY_RETRY_AFTER } as const

  const find = async (username: string) =>
    POSSIBLE_NAME.test(username) ? accounts.findByUsername(username) : undefined

  return {
    minimumLength,

    async signIn({ username: typed, password, address, memories = [], session }) {
      const username = typed.trim()
      // Only for a browser that signed in before is the store asked before the attempt is counted.
      const mayBeKnown = memories.length > 0 || session !== undefined
      const found = mayBeKnown ? await find(username) : undefined
      const browser = found && nameBrowser(found, { memories, session })
      const attempt: Attempt = { username, address, browser }
      let limited = found
      const retryAfter = await attempts.begin(attempt, async () => {
        limited = await find(username).catch(tellNoOutage)
        return limited && changedAt(limited)
      })
      if (retryAfter !== undefined) {
        observe('attempts')
        return { outcome: 'limited', cause: 'attempts', retryAfter, account: limited }
      }

      const account = mayBeKnown ? found : await find(username)
      const lane = account && browser ? ownLane(account) : strangersLane(address)
      const isRight = await gate.run(
        () => passwords.verify(password, account?.passwordHash ?? decoy),
        lane,
      )
      if (isRight === 'busy') {
        observe('busy')
        await attempts.turnAway(attempt)
        return { ...busy, account }
      }
      if (!isRight || account === undefined || account.isDisabled) {
        observe('wrong')
        const reason = isRight ? 'disabled' : 'wrong-password'
        return { outcome: 'refused', reason: account ? reason : 'unknown-name', account }
      }
      // While it waited for its turn an operator may have signed everybody out who has this password.
      const current = await accounts.findById(account.id)
      if (!current || !isUnchanged(current, account)) {
        observe('wrong')
        return { outcome: 'refused', reason: 'changed-meanwhile', account }
      }
      observe('right')
      await attempts.succeed(attempt)
      if (current.mustChangePassword) return { outcome: 'must-change', account: current }
      if (!passwords.needsRehash(current.passwordHash)) {
        return { outcome: 'signed-in', account: current }
      }
      return { outcome: 'signed-in', account: await changes.upgradeHash(current, password) }
    },

    async changePassword({ account, password }) {
      const change = await changes.change(account, password)
      return change.outcome === 'busy' ? busy : change
    },
  }
}

/** Nobody is told of an outage who is turned away in any case. */
function tellNoOutage(error: unknown): undefined {
  if (error instanceof StoreUnavailable) return undefined
  throw error
}

/** When an account was last changed; a new one was not. */
function changedAt({ createdAt, updatedAt }: Account): number | undefined {
  return updatedAt > createdAt ? updatedAt : undefined
}

/** @returns a name of this browser if it signed in before as this account */
function nameBrowser(
  account: Account,
  {
    memories,
    session,
  }: { readonly memories: readonly Memory[]; readonly session: SignInSession | undefined },
): string | undefined {
  if (session?.accountId === account.id) return `${account.id} session ${session.uid}`
  const memory = recall(memories, account)
  return memory && `${account.id} ${memory.browserId}`
}
