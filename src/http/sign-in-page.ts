import type { Context } from 'koa'
import type { Account } from '../accounts/account-store.ts'
import type { SignInSession } from '../accounts/sign-in.ts'
import { hintedPerson } from '../oidc/hinted-person.ts'
import { aboutClient, clientName } from './about-client.ts'
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

/** Checks that ask for another person: Keyturn's, and oidc-provider's for the claim `sub`. */
const OTHER_PERSON: ReadonlySet<string> = new Set(['hinted_person', 'claims_id_token_sub_value'])

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
    const problem = await otherPersonProblem(interaction)
    views.render(ctx, 'sign-in', {
      client: aboutClient(client),
      username,
      otherPerson: username === '' ? undefined : addressOfOther(ctx),
      xsrf,
      leadsOutside: leadsTo !== undefined,
      ...(problem === undefined ? {} : { problem }),
      ...again,
    })
  }

  /**
   * The name to propose: the person of the ID token hint, who alone may sign in, else the client's
   * login hint, else the person of the session.
   */
  async function expectedName({ params, accountId }: Interaction): Promise<string> {
    const hinted = await nameOf(hintedPerson(params))
    if (hinted !== undefined) return hinted
    if (typeof params.login_hint === 'string') return params.login_hint
    return (await nameOf(accountId)) ?? ''
  }

  /** Says that the client means another person than the one who is signed in. */
  async function otherPersonProblem(interaction: Interaction): Promise<string | undefined> {
    const { accountId, client, params, prompt } = interaction
    if (accountId === undefined || !prompt.reasons.some((reason) => OTHER_PERSON.has(reason))) {
      return undefined
    }
    const meant = (await nameOf(hintedPerson(params))) ?? 'another person'
    return `You are signed in as ${await nameOf(accountId)}, but ${clientName(client)} asks for ${meant}.`
  }

  async function nameOf(id: string | undefined): Promise<string | undefined> {
    return id === undefined ? undefined : (await accounts.findById(id))?.username
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

function sessionOf({ accountId, sessionUid: uid }: Interaction): SignInSession | undefined {
  return accountId === undefined || uid === undefined ? undefined : { accountId, uid }
}
