import { decodeJwt } from 'jose'
import type { Context } from 'koa'
import type { Account } from '../accounts/account-store.ts'
import type { SignInSession } from '../accounts/sign-in.ts'
import { aboutClient } from './about-client.ts'
import { field } from './forms.ts'
import {
  accountFields,
  addressOfOther,
  type Interaction,
  isOther,
  requestFields,
} from './interaction.ts'
import type { InteractionOptions } from './interaction-options.ts'
import { limited, type Redisplay } from './redisplay.ts'

/** The page that asks for user name and password. */
export interface SignInPage {
  show(ctx: Context, interaction: Interaction, again?: Redisplay): Promise<void>
  /** Takes the page's form. */
  take(ctx: Context, interaction: Interaction): Promise<SignInTaken>
}

/** How a form with user name and password was answered. */
export type SignInTaken =
  | { readonly outcome: 'signed-in' | 'must-change'; readonly account: Account }
  /** The page is shown again. */
  | { readonly outcome: 'shown' }

const SHOWN: SignInTaken = { outcome: 'shown' }

export function createSignInPage({
  views,
  signIn,
  accounts,
  browsers,
  log,
}: Pick<InteractionOptions, 'views' | 'signIn' | 'accounts' | 'browsers' | 'log'>): SignInPage {
  async function show(ctx: Context, interaction: Interaction, again?: Redisplay): Promise<void> {
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

  async function take(ctx: Context, interaction: Interaction): Promise<SignInTaken> {
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
      await show(ctx, interaction, { username, ...limited(ctx, answer) })
      return SHOWN
    }
    if (answer.outcome === 'refused') {
      log.info({ ...about, reason: answer.reason }, 'sign-in refused')
      const problem = 'User name or password is not right.'
      await show(ctx, interaction, { username, problem, status: 401 })
      return SHOWN
    }
    const isOneTime = answer.outcome === 'must-change'
    log.info(about, isOneTime ? 'signed in with a one-time password' : 'signed in')
    return answer
  }

  return { show, take }
}

function subjectOf(idToken: unknown): string | undefined {
  return typeof idToken === 'string' ? decodeJwt(idToken).sub : undefined
}

function sessionOf({ accountId, sessionUid: uid }: Interaction): SignInSession | undefined {
  return accountId === undefined || uid === undefined ? undefined : { accountId, uid }
}
