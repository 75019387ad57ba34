import type { Context } from 'koa'
import type { Account } from '../accounts/account-store.ts'
import { passwordContext } from '../oidc/authentication-context.ts'
import { finish, type Interaction, type Prompt } from './interaction.ts'
import type { InteractionOptions } from './interaction-options.ts'
import { createPasswordChoice } from './password-choice.ts'
import { createSignInPage } from './sign-in-page.ts'

/** Sign-in with user name and password; after a one-time password, the choice of a new one. */
export function createLoginPrompt(
  options: Pick<
    InteractionOptions,
    'views' | 'signIn' | 'accounts' | 'browsers' | 'issuer' | 'log'
  >,
): Prompt {
  const { browsers, issuer } = options
  const page = createSignInPage(options)
  const choice = createPasswordChoice(options)

  /** How the person authenticated; `amr` values are from RFC 8176. */
  const proof = { acr: passwordContext(issuer), amr: ['pwd'] }

  async function finishLogin(
    ctx: Context,
    interaction: Interaction,
    account: Account,
  ): Promise<void> {
    browsers?.write(ctx, account)
    await finish(ctx, interaction, { login: { accountId: account.id, ...proof } })
  }

  async function takeSignIn(ctx: Context, interaction: Interaction): Promise<void> {
    const taken = await page.take(ctx, interaction)
    if (taken.outcome === 'must-change') return choice.begin(ctx, interaction, taken.account)
    if (taken.outcome === 'signed-in') return finishLogin(ctx, interaction, taken.account)
  }

  async function takeNewPassword(ctx: Context, interaction: Interaction): Promise<void> {
    const taken = await choice.take(ctx, interaction)
    if (taken.outcome === 'sign-in-again') return page.show(ctx, interaction, taken.again)
    if (taken.outcome === 'changed') return finishLogin(ctx, interaction, taken.account)
  }

  return {
    async show(ctx, interaction) {
      const account = await choice.findAccount(interaction)
      if (account) choice.show(ctx, interaction, account)
      else await page.show(ctx, interaction)
    },

    async take(ctx, interaction, action) {
      if (action === 'sign-in') await takeSignIn(ctx, interaction)
      else if (action === 'choose-password') await takeNewPassword(ctx, interaction)
      else return false
      return true
    },
  }
}
