import type { KoaContextWithOIDC } from 'oidc-provider'

/** Where a form of oidc-provider goes, and the secret that it must contain. */
export function formOf(
  ctx: KoaContextWithOIDC,
  route: 'end_session_confirm' | 'code_verification',
) {
  return { action: ctx.oidc.urlFor(route), xsrf: String(ctx.oidc.session?.state?.secret) }
}
