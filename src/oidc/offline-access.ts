import type { KoaContextWithOIDC } from 'oidc-provider'
import { ownProperties } from '../clients/properties.ts'
import type { Apis } from './apis.ts'
import { type LeftOut, leftOut } from './left-out.ts'
import { askedScope, type Client, paramsOf, words } from './request-parameters.ts'

const OFFLINE = 'offline_access'

/**
 * Puts back `offline_access` for clients that may have it without `prompt=consent`, because some
 * clients cannot ask for both. oidc-provider drops it (OpenID Connect Core 1.0, section 11)
 * before any hook sees it.
 * @returns a scope that the client does not get
 */
export function settleOfflineAccess(
  ctx: KoaContextWithOIDC,
  client: Client,
  apis: Pick<Apis, 'of'>,
): LeftOut | undefined {
  const asked = askedScope(ctx)
  // The cheap comparison first, because most requests do not contain it.
  if (!asked?.includes(OFFLINE) || !words(asked).includes(OFFLINE)) return undefined
  const params = paramsOf(ctx)
  const kept = words(params.scope)
  if (kept.includes(OFFLINE)) return undefined
  const reason = whyNoOfflineAccess(client, apis)
  if (reason !== undefined) return leftOut(client, OFFLINE, reason)
  params.scope = [...kept, OFFLINE].join(' ')
  return undefined
}

function whyNoOfflineAccess(client: Client, apis: Pick<Apis, 'of'>): string | undefined {
  if (!client.grantTypeAllowed('refresh_token')) {
    return 'the client does not have the grant type refresh_token'
  }
  if (!apis.of(client).openid.includes(OFFLINE)) {
    return 'the scope of the client does not list it'
  }
  if (ownProperties(client).offline_access_without_prompt) return undefined
  return 'the scope needs prompt=consent, or offline_access_without_prompt of the client'
}
