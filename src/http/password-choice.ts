import type { Context } from 'koa'
import type { Account } from '../accounts/account-store.ts'
import type { Weakness } from '../accounts/weakness.ts'
import { field } from './forms.ts'
import {
  accountFields,
  type Interaction,
  requestFields,
  saveResult,
  seeOther,
} from './interaction.ts'
import type { InteractionOptions } from './interaction-options.ts'
import { limited, type Redisplay } from './redisplay.ts'

/**
 * Kept in the interaction after a one-time password was right, until a new password is chosen.
 * `updatedAt` ends it when the account changes meanwhile.
 */
interface PasswordChange {
  readonly accountId: string
  readonly updatedAt: number
}

/** The choice of a new password, which follows a one-time password. */
export interface PasswordChoice {
  /** Remembers in the interaction that the one-time password was right, and leads to the page. */
  begin(ctx: Context, interaction: Interaction, account: Account): Promise<void>
  /**
   * The person whose one-time password was right in this interaction, unless the account has
   * changed.
   */
  findAccount(interaction: Interaction): Promise<Account | undefined>
  show(ctx: Context, interaction: Interaction, account: Account): void
  /** Takes the page's form. */
  take(ctx: Context, interaction: Interaction): Promise<ChoiceTaken>
}

/** How a form with a new password was answered. */
export type ChoiceTaken =
  | { readonly outcome: 'changed'; readonly account: Account }
  /** The page is shown again. */
  | { readonly outcome: 'shown' }
  | { readonly outcome: 'sign-in-again'; readonly again: Redisplay }

const SHOWN: ChoiceTaken = { outcome: 'shown' }

export function createPasswordChoice({
  views,
  signIn,
  accounts,
  log,
}: Pick<InteractionOptions, 'views' | 'signIn' | 'accounts' | 'log'>): PasswordChoice {
  function showPage(
    ctx: Context,
    { leadsTo, xsrf }: Interaction,
    more: { username: string } & Partial<Redisplay>,
  ): void {
    const { minimumLength } = signIn
    const leadsOutside = leadsTo !== undefined
    views.render(ctx, 'choose-password', { minimumLength, xsrf, leadsOutside, ...more })
  }

  async function begin(ctx: Context, { details }: Interaction, account: Account): Promise<void> {
    const passwordChange: PasswordChange = { accountId: account.id, updatedAt: account.updatedAt }
    await saveResult(details, { passwordChange })
    seeOther(ctx, ctx.originalUrl)
  }

  async function findAccount({ result }: Interaction): Promise<Account | undefined> {
    // Only `begin` writes this field; oidc-provider keeps unknown fields unchanged.
    const pending = result?.passwordChange as PasswordChange | undefined
    if (!pending) return undefined
    const account = await accounts.findById(pending.accountId)
    const isOpen = account?.mustChangePassword && !account.isDisabled
    return isOpen && account.updatedAt === pending.updatedAt ? account : undefined
  }

  async function take(ctx: Context, interaction: Interaction): Promise<ChoiceTaken> {
    const account = await findAccount(interaction)
    if (!account) {
      const problem = 'Please sign in again.'
      return { outcome: 'sign-in-again', again: { problem, status: 409 } }
    }
    const { username } = account
    const password = field(ctx, 'password')
    if (password !== field(ctx, 'repeated')) {
      const problem = 'The two passwords are not the same. Please type both again.'
      showPage(ctx, interaction, { username, problem, status: 422 })
      return SHOWN
    }

    const answer = await signIn.changePassword({ account, password })
    const about = { ...requestFields(ctx, interaction), ...accountFields(account) }
    const notChanged = (reason: string) => log.info({ ...about, reason }, 'password not changed')
    if (answer.outcome === 'limited') {
      notChanged(answer.cause)
      const again = limited(ctx, answer)
      showPage(ctx, interaction, { username, ...again })
      return SHOWN
    }
    if (answer.outcome === 'unacceptable') {
      notChanged(answer.reason)
      const problem = describeWeakness(answer.reason, signIn.minimumLength)
      showPage(ctx, interaction, { username, problem, status: 422 })
      return SHOWN
    }
    if (answer.outcome === 'stale') {
      notChanged('account changed meanwhile')
      const problem = 'Your account changed in the meantime. Please sign in again.'
      return { outcome: 'sign-in-again', again: { username, problem, status: 409 } }
    }
    log.info(about, 'password changed')
    return { outcome: 'changed', account: answer.account }
  }

  return {
    begin,
    findAccount,
    show: (ctx, interaction, { username }) => showPage(ctx, interaction, { username }),
    take,
  }
}

function describeWeakness(weakness: Weakness, minimumLength: number): string {
  if (weakness === 'too-short') return `Please use at least ${minimumLength} characters.`
  if (weakness === 'unchanged') return 'This is the password you just used. Choose a new one.'
  return 'This password is easy to guess. Choose one without your name and without repetition.'
}
