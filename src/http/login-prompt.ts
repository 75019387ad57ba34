import { decodeJwt } from 'jose'
import type { Context } from 'koa'
import type { Account } from '../accounts/account-store.ts'
import type { Limited, SignInSession, Weakness } from '../accounts/sign-in.ts'
import { passwordContext } from '../oidc/authentication-context.ts'
import { aboutClient } from './about-client.ts'
import { field } from './forms.ts'
import {
  accountFields,
  addressOfOther,
  finish,
  type Interaction,
  isOther,
  type Prompt,
  requestFields,
  seeOther,
} from './interaction.ts'
import type { InteractionOptions } from './interaction-options.ts'
import { inWords } from './waiting.ts'

/**
 * Kept in the interaction after a one-time password was right, until a new password is chosen.
 * `updatedAt` ends it when the account changes meanwhile.
 */
interface PasswordChange {
  readonly accountId: string
  readonly updatedAt: number
}

/** Content of a page that is shown again after a problem. */
interface Redisplay {
  readonly username?: string
  readonly problem: string
  readonly status: number
}

/** Sign-in with user name and password; after a one-time password, the choice of a new one. */
export function createLoginPrompt({
  views,
  signIn,
  accounts,
  browsers,
  issuer,
  log,
}: Pick<
  InteractionOptions,
  'views' | 'signIn' | 'accounts' | 'browsers' | 'issuer' | 'log'
>): Prompt {
  /** How the person authenticated; `amr` values are from RFC 8176. */
  const proof = { acr: passwordContext(issuer), amr: ['pwd'] }

  async function showSignIn(
    ctx: Context,
    interaction: Interaction,
    again?: Redisplay,
  ): Promise<void> {
    const { client, leadsTo, xsrf } = interaction
    const username = isOther(ctx) ? '' : await expectedName(interaction)
    views.render(ctx, 'sign-in', {
      client: aboutClient(client),
      username,
      otherPerson: username === '' ? undefined : addressOfOther(ctx),
      xsrf,
      leadsOutside: leadsTo !== undefined,
      ...again,
    })
  }

  /**
   * The name to propose: the client's login hint, else the person of the session or of the ID token
   * hint.
   */
  async function expectedName({ params, accountId }: Interaction): Promise<string> {
    if (typeof params.login_hint === 'string') return params.login_hint
    // oidc-provider has verified the ID token before the interaction began.
    const id = accountId ?? subjectOf(params.id_token_hint)
    const known = id === undefined ? undefined : await accounts.findById(id)
    return known?.username ?? ''
  }

  function showChoosePassword(
    ctx: Context,
    { leadsTo, xsrf }: Interaction,
    more: { username: string } & Partial<Redisplay>,
  ): void {
    const { minimumLength } = signIn
    const leadsOutside = leadsTo !== undefined
    views.render(ctx, 'choose-password', { minimumLength, xsrf, leadsOutside, ...more })
  }

  /**
   * The person whose one-time password was right in this interaction, unless the account has
   * changed.
   */
  async function findPasswordChange({ result }: Interaction): Promise<Account | undefined> {
    // Only takeSignIn writes this field; oidc-provider keeps unknown fields unchanged.
    const pending = result?.passwordChange as PasswordChange | undefined
    if (!pending) return undefined
    const account = await accounts.findById(pending.accountId)
    const isOpen = account?.mustChangePassword && !account.isDisabled
    return isOpen && account.updatedAt === pending.updatedAt ? account : undefined
  }

  async function takeSignIn(ctx: Context, interaction: Interaction): Promise<void> {
    const username = field(ctx, 'username')
    const memories = browsers?.read(ctx) ?? []
    const answer = await signIn.signIn({
      username,
      password: field(ctx, 'password'),
      address: ctx.ip,
      memories,
      session: sessionOf(interaction),
    })
    const about = { ...requestFields(ctx, interaction), ...accountFields(answer.account) }

    if (answer.outcome === 'limited') {
      log.warn({ ...about, reason: answer.cause }, 'sign-in limited')
      return showSignIn(ctx, interaction, { username, ...limited(ctx, answer) })
    }
    if (answer.outcome === 'refused') {
      log.info({ ...about, reason: answer.reason }, 'sign-in refused')
      const problem = 'User name or password is not right.'
      return showSignIn(ctx, interaction, { username, problem, status: 401 })
    }
    const { id: accountId, updatedAt } = answer.account
    if (answer.outcome === 'must-change') {
      log.info(about, 'signed in with a one-time password')
      const passwordChange: PasswordChange = { accountId, updatedAt }
      const options = { mergeWithLastSubmission: false }
      await interaction.provider.interactionResult(ctx.req, ctx.res, { passwordChange }, options)
      return seeOther(ctx, ctx.originalUrl)
    }
    log.info(about, 'signed in')
    browsers?.write(ctx, answer.account)
    await finish(ctx, interaction, { login: { accountId, ...proof } })
  }

  async function takeNewPassword(ctx: Context, interaction: Interaction): Promise<void> {
    const account = await findPasswordChange(interaction)
    if (!account) {
      const problem = 'Please sign in again.'
      return showSignIn(ctx, interaction, { problem, status: 409 })
    }
    const { username } = account
    const password = field(ctx, 'password')
    if (password !== field(ctx, 'repeated')) {
      const problem = 'The two passwords are not the same. Please type both again.'
      return showChoosePassword(ctx, interaction, { username, problem, status: 422 })
    }

    const answer = await signIn.changePassword({ account, password })
    const about = { ...requestFields(ctx, interaction), ...accountFields(account) }
    const notChanged = (reason: string) => log.info({ ...about, reason }, 'password not changed')
    if (answer.outcome === 'limited') {
      notChanged(answer.cause)
      const again = limited(ctx, answer)
      return showChoosePassword(ctx, interaction, { username, ...again })
    }
    if (answer.outcome === 'unacceptable') {
      notChanged(answer.reason)
      const problem = describeWeakness(answer.reason, signIn.minimumLength)
      return showChoosePassword(ctx, interaction, { username, problem, status: 422 })
    }
    if (answer.outcome === 'stale') {
      notChanged('account changed meanwhile')
      const problem = 'Your account changed in the meantime. Please sign in again.'
      return showSignIn(ctx, interaction, { username, problem, status: 409 })
    }
    log.info(about, 'password changed')
    browsers?.write(ctx, answer.account)
    await finish(ctx, interaction, { login: { accountId: account.id, ...proof } })
  }

  return {
    async show(ctx, interaction) {
      const account = await findPasswordChange(interaction)
      if (!account) return showSignIn(ctx, interaction)
      showChoosePassword(ctx, interaction, { username: account.username })
    },

    async take(ctx, interaction, action) {
      if (action === 'sign-in') await takeSignIn(ctx, interaction)
      else if (action === 'choose-password') await takeNewPassword(ctx, interaction)
      else return false
      return true
    },
  }
}

function describeWeakness(weakness: Weakness, minimumLength: number): string {
  if (weakness === 'too-short') return `Please use at least ${minimumLength} characters.`
  if (weakness === 'unchanged') return 'This is the password you just used. Choose a new one.'
  return 'This password is easy to guess. Choose one without your name and without repetition.'
}

function limited(ctx: Context, { cause, retryAfter }: Limited): Redisplay {
  ctx.set('Retry-After', String(retryAfter))
  const what = cause === 'busy' ? 'Very many people are signing in.' : 'Too many attempts.'
  return { problem: `${what} Please try again ${inWords(retryAfter)}.`, status: 429 }
}

function subjectOf(idToken: unknown): string | undefined {
  return typeof idToken === 'string' ? decodeJwt(idToken).sub : undefined
}

function sessionOf({ accountId, sessionUid: uid }: Interaction): SignInSession | undefined {
  return accountId === undefined || uid === undefined ? undefined : { accountId, uid }
}
