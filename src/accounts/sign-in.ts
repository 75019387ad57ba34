import type { Clock } from '../clock.ts'
import type { Account, AccountStore } from './account-store.ts'
import { type AttemptLimits, createAttempts, type SharedCounts } from './attempts.ts'
import { createGate } from './gate.ts'
import type { Passwords } from './password.ts'

export type SignInOutcome =
  | { readonly outcome: 'signed-in'; readonly account: Account }
  /** The password was right and good for one use: `changePassword` comes next. */
  | { readonly outcome: 'must-change'; readonly account: Account }
  /** Unknown name, wrong password or disabled account; nobody outside learns which. */
  | { readonly outcome: 'refused' }
  /** Too many attempts, or too busy. `retryAfter` is in seconds. */
  | { readonly outcome: 'limited'; readonly retryAfter: number }

export type ChangeOutcome =
  | { readonly outcome: 'changed'; readonly account: Account }
  | { readonly outcome: 'unacceptable'; readonly reason: Weakness }
  /** The account changed since it was loaded: prove the old password again. */
  | { readonly outcome: 'stale' }
  | { readonly outcome: 'limited'; readonly retryAfter: number }

export type Weakness = 'too-short' | 'predictable' | 'unchanged'

export interface SignIn {
  /** Shortest password that `changePassword` takes, in characters. */
  readonly minimumLength: number
  /** @param attempt `address` is the IP address that the person comes from */
  signIn(attempt: {
    readonly username: string
    readonly password: string
    readonly address: string
  }): Promise<SignInOutcome>
  /** @param change `account` as it was when its old password was proved */
  changePassword(change: {
    readonly account: Account
    readonly password: string
  }): Promise<ChangeOutcome>
}

export interface SignInOptions {
  readonly accounts: Pick<AccountStore, 'findById' | 'findByUsername' | 'update'>
  readonly password: Passwords
  readonly limits: AttemptLimits
  /** Where several processes count attempts together. */
  readonly redis?: SharedCounts | undefined
  readonly clock: Pick<Clock, 'now'>
  /** Argon2 runs at once; others wait in line, up to `waiting`, and are then turned away. */
  readonly work?: { readonly atOnce: number; readonly waiting: number }
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
 * that does not exist - except 'limited', which costs none and comes before any look at the store.
 */
export function createSignIn({
  accounts,
  password: passwords,
  limits,
  redis,
  clock,
  work = DEFAULT_WORK,
  minimumLength = 15,
}: SignInOptions): SignIn {
  const attempts = createAttempts(limits, redis)
  const gate = createGate(work)
  const decoy = passwords.decoy()
  const busy = { outcome: 'limited', retryAfter: BUSY_RETRY_AFTER } as const

  async function upgradeHash(account: Account, password: string): Promise<void> {
    const passwordHash = await gate.run(() => passwords.hash(password))
    if (passwordHash === 'busy') return
    const current = await unchanged(account)
    if (current) await accounts.update({ ...current, passwordHash })
  }

  /** The account as it is now, unless its password or standing changed meanwhile. */
  async function unchanged(account: Account): Promise<Account | undefined> {
    const current = await accounts.findById(account.id)
    const isSame = current?.passwordHash === account.passwordHash && !current.isDisabled
    return isSame ? current : undefined
  }

  return {
    minimumLength,

    async signIn({ username, password, address }) {
      const attempt = { username: username.trim(), address }
      const retryAfter = await attempts.begin(attempt)
      if (retryAfter !== undefined) return { outcome: 'limited', retryAfter }

      const account = POSSIBLE_NAME.test(attempt.username)
        ? await accounts.findByUsername(attempt.username)
        : undefined
      const isRight = await gate.run(() =>
        passwords.verify(password, account?.passwordHash ?? decoy),
      )
      if (isRight === 'busy') {
        await attempts.withdraw(attempt)
        return busy
      }
      if (!isRight || account === undefined || account.isDisabled) return { outcome: 'refused' }

      await attempts.succeed(attempt)
      if (account.mustChangePassword) return { outcome: 'must-change', account }
      if (passwords.needsRehash(account.passwordHash)) await upgradeHash(account, password)
      return { outcome: 'signed-in', account }
    },

    async changePassword({ account, password }) {
      const weakness = findWeakness(password, { account, minimumLength })
      if (weakness) return { outcome: 'unacceptable', reason: weakness }

      const isSame = await gate.run(() => passwords.verify(password, account.passwordHash))
      if (isSame === 'busy') return busy
      if (isSame) return { outcome: 'unacceptable', reason: 'unchanged' }

      const passwordHash = await gate.run(() => passwords.hash(password))
      if (passwordHash === 'busy') return busy
      const current = await unchanged(account)
      if (!current) return { outcome: 'stale' }
      const changed: Account = {
        ...current,
        passwordHash,
        mustChangePassword: false,
        updatedAt: clock.now(),
      }
      if (!(await accounts.update(changed))) return { outcome: 'stale' }
      return { outcome: 'changed', account: changed }
    },
  }
}

/** Length, and the few patterns that a guesser who knows the person tries first. */
function findWeakness(
  password: string,
  { account, minimumLength }: { account: Account; minimumLength: number },
): Weakness | undefined {
  if ([...password].length < minimumLength) return 'too-short'
  if (new Set(password.toLowerCase()).size < 5) return 'predictable'
  const known = [account.username, account.email, account.email?.split('@')[0], account.name]
  const rest = known
    .filter((text) => text != null && text.length >= 4)
    .reduce<string>(
      (left, text) => left.replaceAll(`${text}`.toLowerCase(), ''),
      password.toLowerCase(),
    )
  return rest.length < minimumLength / 2 ? 'predictable' : undefined
}
