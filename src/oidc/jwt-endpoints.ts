import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import type { AccessTokenClaims, JwtAccessTokens } from './jwt-access-tokens.ts'
import { mayIntrospect, mayRevoke } from './settings.ts'

/**
 * Introspection and revocation of JWT access tokens (RFC 7662, section 2.2; RFC 7009, section
 * 2.2.1). oidc-provider authenticates the client and then refuses every JWT; requests refused for
 * that reason alone are answered here. For all other requests only the path is compared.
 */
export function answerForJwts(provider: Provider, tokens: JwtAccessTokens): void {
  const refused = new WeakSet<object>()
  const noteRefusal = (ctx: KoaContextWithOIDC, error: Error) => {
    if (isForJwt(error)) refused.add(ctx)
  }
  provider.on('introspection.error', noteRefusal)
  provider.on('revocation.error', noteRefusal)

  async function answer(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
    await next()
    if (!refused.has(ctx)) return
    const { route } = ctx.oidc
    try {
      if (route === 'introspection') await introspect(ctx, tokens)
      else await revoke(ctx, tokens)
    } catch (error) {
      if (!(error instanceof errors.OIDCProviderError)) throw error
      ctx.status = error.statusCode
      ctx.body = { error: error.error, error_description: error.error_description }
      provider.emit(`${route}.error`, ctx, error)
    }
  }
  provider.use((ctx, next) =>
    // oidc-provider adds `oidc` to the context of each request that it answers.
    ENDPOINTS.test(ctx.path) ? answer(ctx as KoaContextWithOIDC, next) : next(),
  )
}

/** True if oidc-provider refused the token only because it is a JWT. */
export function isForJwt(error: Error): boolean {
  return error instanceof errors.UnsupportedTokenType
}

/** oidc-provider's default paths, in upper or lower case and with or without a slash at the end. */
const ENDPOINTS = /^\/token\/(introspection|revocation)\/?$/i

async function introspect(ctx: KoaContextWithOIDC, tokens: JwtAccessTokens): Promise<void> {
  const { client, provider } = ctx.oidc
  const claims = await tokens.check(tokenOf(ctx), provider)
  const isActive =
    claims !== undefined &&
    client !== undefined &&
    (await mayIntrospect(ctx, client, { clientId: claims.client_id }))
  ctx.status = 200
  await respond(ctx, isActive ? describe(claims) : { active: false })
}

/** Signs the answer for clients that ask for it (RFC 9701, section 4), as oidc-provider does. */
async function respond(ctx: KoaContextWithOIDC, answer: object): Promise<void> {
  ctx.body = answer
  const { client, provider } = ctx.oidc
  if (!client?.introspectionSignedResponseAlg || ctx.accepts('json', SIGNED) !== SIGNED) return
  const token = new provider.IdToken({}, { ctx })
  token.set('token_introspection', answer)
  ctx.body = await token.issue({ use: 'introspection' })
  ctx.type = `${SIGNED}; charset=utf-8`
}

const SIGNED = 'application/token-introspection+jwt'

/** RFC 7662, section 2.2. */
function describe(claims: AccessTokenClaims): object {
  return { ...claims, active: true, token_type: claims.cnf?.jkt ? 'DPoP' : 'Bearer' }
}

/** Revokes the token and the grant's refresh tokens, as oidc-provider does for opaque tokens. */
async function revoke(ctx: KoaContextWithOIDC, tokens: JwtAccessTokens): Promise<void> {
  const { client, provider } = ctx.oidc
  const claims = await tokens.check(tokenOf(ctx), provider)
  ctx.status = 200
  ctx.body = ''
  if (!claims || !client) return
  if (!(await mayRevoke(ctx, client, { clientId: claims.client_id }))) return
  await tokens.revoke(claims)
  const { grant_id: grantId } = claims
  if (grantId === undefined) return
  await Promise.all([
    provider.AccessToken.revokeByGrantId(grantId),
    provider.RefreshToken.revokeByGrantId(grantId),
  ])
}

function tokenOf({ oidc }: KoaContextWithOIDC): string {
  return String(oidc.params?.token)
}
