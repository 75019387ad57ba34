import { ordered } from '../audit/record.ts'
import type { Clock } from '../clock.ts'
import { type Account, type AccountStore, nextChange } from './account-store.ts'
import type { Gate } from './gate.ts'
import { ownLane } from './lanes.ts'
import type { Passwords } from './password.ts'
import { findWeakness, type Weakness } from './weakness.ts'

export type PasswordChange =
  | { readonly outcome: 'changed'; readonly account: Account }
  | { readonly outcome: 'unacceptable'; readonly reason: Weakness }
  /** The account changed meanwhile, so the old password must be proved again. */
  | { readonly outcome: 'stale' }
  | { readonly outcome: 'busy' }

/** Stores new password hashes for people who have just proved their password. */
export interface PasswordChanges {
  /** Stores a new password. @param account as it was when its old password was proved */
  change(account: Account, password: string): Promise<PasswordChange>
  /**
   * Hashes the same password again with the present parameters, or leaves the hash as it is if too
   * many wait.
   * @returns the account as it is now; undefined if its password is no longer proved
   */
  upgradeHash(account: Account, password: string): Promise<Account | undefined>
}

export interface PasswordChangesOptions {
  readonly accounts: Pick<AccountStore, 'findById' | 'change'>
  readonly passwords: Passwords
  readonly gate: Gate
  readonly clock: Pick<Clock, 'now'>
  readonly minimumLength: number
}

const BUSY = { outcome: 'busy' } as const

export function createPasswordChanges({
  accounts,
  passwords,
  gate,
  clock,
  minimumLength,
}: PasswordChangesOptions): PasswordChanges {
  return {
    async change(account, password) {
      const weakness = findWeakness(password, { account, minimumLength })
      if (weakness) return { outcome: 'unacceptable', reason: weakness }

      const isSame = await gate.run(
        () => passwords.verify(password, account.passwordHash),
        ownLane(account),
      )
      if (isSame === 'busy') return BUSY
      if (isSame) return { outcome: 'unacceptable', reason: 'unchanged' }

      const passwordHash = await gate.run(() => passwords.hash(password), ownLane(account))
      if (passwordHash === 'busy') return BUSY
      const now = clock.now()
      const order = { actor: account.username, reason: 'chosen at a sign-in' }
      const changed = await accounts.change(
        account.id,
        (current) =>
          isUnchanged(current, account)
            ? { passwordHash, mustChangePassword: false, updatedAt: nextChange(current, now) }
            : undefined,
        ordered('account_password_chosen', { order, now }),
      )
      return changed ? { outcome: 'changed', account: changed } : { outcome: 'stale' }
    },

    async upgradeHash(account, password) {
      const passwordHash = await gate.run(() => passwords.hash(password), ownLane(account))
      if (passwordHash !== 'busy') {
        const upgrade = (current: Account) =>
          isUnchanged(current, account) ? { passwordHash } : undefined
        const upgraded = await accounts.change(account.id, upgrade)
        if (upgraded) return upgraded
      }
      const current = await accounts.findById(account.id)
      // Another sign-in may have upgraded the hash, which alone leaves `updatedAt` as it was.
      const isProved = current?.updatedAt === account.updatedAt && !current.isDisabled
      return isProved ? current : undefined
    },
  }
}

/** True if the password is still the same and the account is not disabled. */
export function isUnchanged(current: Account, proved: Account): boolean {
  return current.passwordHash === proved.passwordHash && !current.isDisabled
}
