import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'
import type { Account, AccountStore } from './account-store.ts'
import { type Attempt, type AttemptLimits, createAttempts } from './attempts.ts'
import type { SharedCounts } from './counters.ts'
import { createGate } from './gate.ts'
import { type Memory, recall } from './known-browser.ts'
import { addressLane, ownLane } from './lanes.ts'
import type { Passwords } from './password.ts'
import { createPasswordChanges, isUnchanged, type PasswordChange } from './password-changes.ts'

export type SignInOutcome =
  | { readonly outcome: 'signed-in'; readonly account: Account }
  /** The one-time password was right, so that `changePassword` must follow. */
  | { readonly outcome: 'must-change'; readonly account: Account }
  | Refused
  | Limited

/** A refusal. `reason` and `account` are for the log only, never for the person. */
export interface Refused {
  readonly outcome: 'refused'
  readonly reason: 'unknown-name' | 'wrong-password' | 'disabled' | 'changed-meanwhile'
  /** Account of the typed name; undefined for an unknown name, which may be a password. */
  readonly account: Account | undefined
}

export type ChangeOutcome = Exclude<PasswordChange, { outcome: 'busy' }> | Limited

/** Too many attempts failed, or too many people are signing in at this moment. */
export interface Limited {
  readonly outcome: 'limited'
  readonly cause: 'attempts' | 'busy'
  /** Seconds until the next attempt is worth trying. */
  readonly retryAfter: number
  /** Account of the typed name, if it was looked up. */
  readonly account?: Account | undefined
}

export interface SignIn {
  /** Shortest password that `changePassword` takes, in characters. */
  readonly minimumLength: number
  /**
   * Checks user name and password.
   * @param attempt `address` is the person's IP address, `memories` are the browser's proven
   * records of earlier sign-ins, `session` is its present session
   */
  signIn(attempt: {
    readonly username: string
    readonly password: string
    readonly address: string
    readonly memories?: readonly Memory[]
    readonly session?: SignInSession | undefined
  }): Promise<SignInOutcome>
  /** Changes a password. @param change `account` as it was when its old password was proved */
  changePassword(change: {
    readonly account: Account
    readonly password: string
  }): Promise<ChangeOutcome>
}

/** Session of a browser that is signed in and is asked for the password again. */
export interface SignInSession {
  readonly accountId: string
  readonly uid: string
}

export interface SignInOptions {
  readonly accounts: Pick<AccountStore, 'findById' | 'findByUsername' | 'change'>
  readonly password: Passwords
  /** Limits of failed attempts; missing ones have their default. */
  readonly limits: Partial<AttemptLimits>
  /** Redis in which several processes count attempts together. */
  readonly redis?: SharedCounts | undefined
  readonly clock: Pick<Clock, 'now'>
  /** How many Argon2 runs happen at once, and how many more may wait before others are refused. */
  readonly work?: { readonly atOnce: number; readonly waiting: number }
  /** Called with the result of each attempt, for metrics. */
  readonly observe?: (ended: 'right' | 'wrong' | Limited['cause']) => void
  /** Defaults to 15, as NIST SP 800-63B-4, 3.1.1.2 asks if the password is the only factor. */
  readonly minimumLength?: number
}

/** Two of libuv's four threads; 30 waiting take about a second at the default cost. */
const DEFAULT_WORK = { atOnce: 2, waiting: 30 }
const BUSY_RETRY_AFTER = 5

/** Excludes control characters and lone surrogates, which not every database takes in a query. */
const POSSIBLE_NAME = /^[^\p{Cc}\p{Cs}]{1,256}$/u

/**
 * Signs people in with user name and password. Every answer costs one Argon2 run, also for an
 * unknown name, except 'limited', which costs none. The store is read before the attempt is counted
 * only if the browser signed in before, or at a limit of the account, which may have been lifted.
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

  /**
   * The account as it is after the wait for Argon2, in which an operator may have disabled it or
   * renewed its password: undefined then.
   */
  async function stillProved(account: Account, password: string): Promise<Account | undefined> {
    const current = await accounts.findById(account.id)
    if (!current || !isUnchanged(current, account)) return undefined
    const isWeaker = !current.mustChangePassword && passwords.needsRehash(current.passwordHash)
    return isWeaker ? changes.upgradeHash(current, password) : current
  }

  return {
    minimumLength,

    async signIn({ username: typed, password, address, memories = [], session }) {
      const username = typed.trim()
      const mayBeKnown = memories.length > 0 || session !== undefined
      const found = mayBeKnown ? await find(username) : undefined
      const browser = found && nameBrowser(found, { memories, session })
      const attempt: Attempt = { username, address, browser }
      let limited = found
      const retryAfter = await attempts.begin(attempt, async () => {
        limited = await find(username).catch(ignoreOutage)
        return limited && changedAt(limited)
      })
      if (retryAfter !== undefined) {
        observe('attempts')
        return { outcome: 'limited', cause: 'attempts', retryAfter, account: limited }
      }

      const account = mayBeKnown ? found : await find(username)
      const lane = account && browser ? ownLane(account) : addressLane(address)
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
      const proved = await stillProved(account, password)
      if (!proved) {
        observe('wrong')
        return { outcome: 'refused', reason: 'changed-meanwhile', account }
      }
      observe('right')
      await attempts.succeed(attempt)
      const outcome = proved.mustChangePassword ? 'must-change' : 'signed-in'
      return { outcome, account: proved }
    },

    async changePassword({ account, password }) {
      const change = await changes.change(account, password)
      return change.outcome === 'busy' ? busy : change
    },
  }
}

/** Ignores an outage of the store, because the attempt is refused in any case. */
function ignoreOutage(error: unknown): undefined {
  if (error instanceof StoreUnavailable) return undefined
  throw error
}

/** The instant of an account's last change; undefined if it never changed. */
function changedAt({ createdAt, updatedAt }: Account): number | undefined {
  return updatedAt > createdAt ? updatedAt : undefined
}

/** The id of a browser that signed in before as this account; undefined for other browsers. */
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
