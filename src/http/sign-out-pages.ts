import type Provider from 'oidc-provider'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { clientName, wayBack } from './about-client.ts'
import { formOf } from './provider-form.ts'
import type { Pages, Views } from './views.ts'

type Features = NonNullable<Configuration['features']>

/** The pages of a sign-out that a client or a person began (RP-Initiated Logout 1.0). */
export function signOutPages(views: Views, issuer: string) {
  return {
    logoutSource(ctx) {
      const { action, xsrf } = formOf(ctx, 'end_session_confirm')
      views.render(ctx, 'sign-out', {
        action,
        xsrf,
        clientName: ctx.oidc.client && clientName(ctx.oidc.client),
        leadsOutside: ctx.oidc.params?.post_logout_redirect_uri !== undefined,
      })
    },
    async postLogoutSuccessSource(ctx) {
      // The session is read, because anybody can open this address without having signed out.
      const session = await ctx.oidc.provider.Session.get(ctx)
      views.render(ctx, 'done', {
        ...describeSession(session, ctx.oidc.client),
        way: wayBack(ctx.oidc.client, issuer),
      })
    },
  } satisfies Features['rpInitiatedLogout']
}

/** Words about the session after a person was asked whether to sign out, perhaps by a client. */
function describeSession(
  { accountId, authorizations = {} }: Awaited<ReturnType<Provider['Session']['get']>>,
  client: KoaContextWithOIDC['oidc']['client'],
): Pages['done'] {
  if (accountId === undefined) {
    const message = 'You can close this page.'
    return { title: 'You are signed out', message, outcome: 'done' }
  }
  if (client && !(client.clientId in authorizations)) {
    return {
      title: `You left ${clientName(client)}`,
      message: 'You are still signed in here for other applications. You can close this page.',
      outcome: 'done',
    }
  }
  return {
    title: 'You are still signed in',
    message: 'Nothing has changed. You can close this page.',
  }
}
