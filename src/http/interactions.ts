import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { wayBack } from './about-client.ts'
import { createConsentPrompt } from './consent-prompt.ts'
import { field, readForm, refuseForeignForms } from './forms.ts'
import {
  findInteraction,
  finish,
  type Interaction,
  isOther,
  type Prompt,
  requestFields,
  showExpired,
} from './interaction.ts'
import type { InteractionOptions } from './interaction-options.ts'
import { createLoginPrompt } from './login-prompt.ts'
import { allowMethods } from './methods.ts'

/**
 * `/interaction/:uid`: one address for all steps, because the interaction knows the next step. GET
 * shows the step; POST takes its form, whose buttons are named `action`. Only the browser with the
 * interaction's signed cookie may act, through a form of this server.
 */
export function interactionRoutes(options: InteractionOptions): Middleware {
  const { views, issuer, log, secrets } = options
  const prompts: Readonly<Record<string, Prompt>> = {
    login: createLoginPrompt(options),
    consent: createConsentPrompt(options),
  }
  const path = '/interaction/:uid'
  const router = new Router()

  router.use(path, async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    await next()
  })

  router.get(path, async (ctx) => {
    const interaction = await findInteraction(ctx, options.provider(), secrets)
    if (!interaction) return showGone(ctx)
    await promptOf(ctx, interaction).show(ctx, interaction)
  })

  const hasSecret = (ctx: Context) => secrets.isOf(String(ctx.params.uid), field(ctx, 'xsrf'))
  const ownForms = refuseForeignForms({ issuer, log, hasSecret })
  router.post(path, readForm(), ownForms, async (ctx) => {
    const interaction = await findInteraction(ctx, options.provider(), secrets)
    if (!interaction) return showGone(ctx)
    const action = field(ctx, 'action')
    if (action === 'deny') {
      log.info(
        { ...requestFields(ctx, interaction), prompt: interaction.prompt.name },
        'request denied',
      )
      const error_description = 'The person did not allow it'
      return finish(ctx, interaction, { error: 'access_denied', error_description })
    }
    if (!(await promptOf(ctx, interaction).take(ctx, interaction, action))) ctx.throw(400)
  })

  router.all(path, (ctx) => void allowMethods(ctx, ['GET', 'HEAD', 'POST']))

  /** Finds the client by the address, because nothing else is left of an expired interaction. */
  async function showGone(ctx: Context): Promise<void> {
    const { client_id: id } = ctx.query
    const client = typeof id === 'string' ? await options.provider().Client.find(id) : undefined
    showExpired(ctx, views, wayBack(client, issuer))
  }

  function promptOf(
    ctx: Context,
    { prompt: { name: asked } }: Pick<Interaction, 'prompt'>,
  ): Prompt {
    const name = isOther(ctx) ? 'login' : asked
    const prompt = prompts[name]
    if (!prompt) throw new TypeError(`No page for the prompt ${name}`)
    return prompt
  }

  const routes = router.routes()
  // The router itself adds `params` and `router`, which its type expects, to the context.
  return (ctx, next) => routes(ctx as Parameters<typeof routes>[0], next)
}
