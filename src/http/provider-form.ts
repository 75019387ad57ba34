import type { KoaContextWithOIDC } from 'oidc-provider'

/** Target of a form of oidc-provider, and the secret that it must contain. */
export function formOf(
  ctx: KoaContextWithOIDC,
  route: 'end_session_confirm' | 'code_verification',
) {
  return { action: ctx.oidc.urlFor(route), xsrf: String(ctx.oidc.session?.state?.secret) }
}
