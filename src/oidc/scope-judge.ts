import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Apis } from './apis.ts'
import { type LeftOut, leftOut } from './left-out.ts'
import { actsForItself, type Client, paramsOf, words } from './request-parameters.ts'
import type { RequestedApis } from './requested-apis.ts'
import { judgeScopes, type ScopeVocabulary } from './requested-scopes.ts'

/**
 * Refuses scopes that are a mistake, and takes out of the request those that are left out.
 * @param targets the APIs of the request
 * @throws InvalidScope, InvalidTarget
 */
export type ScopeJudge = (
  ctx: KoaContextWithOIDC,
  client: Client,
  targets: readonly string[],
) => void

/** Applies the rules for scopes (`requested-scopes.ts`) to a request of oidc-provider. */
export function createScopeJudge(
  apis: Pick<Apis, 'knows' | 'isOpenid'>,
  requested: Pick<RequestedApis, 'serversOf'>,
  onLeftOut: (left: LeftOut) => void,
): ScopeJudge {
  return (ctx, client, targets) => {
    const params = paramsOf(ctx)
    if (params.scope === undefined) return
    const scopes = words(params.scope)
    const servers = requested.serversOf(ctx, client)
    const given = targets.flatMap((target) => words(servers.get(target)?.scope))
    const vocabulary: ScopeVocabulary = {
      isOpenid: apis.isOpenid,
      isOfApi: apis.knows,
      apisWith: (scope) =>
        [...servers].flatMap(([api, server]) => (words(server.scope).includes(scope) ? api : [])),
    }
    const judgement = judgeScopes(
      {
        scopes,
        given: new Set(given),
        hasApi: targets.length > 0,
        isForPerson: !actsForItself(ctx),
      },
      vocabulary,
    )
    if ('error' in judgement) {
      const { error, description, scope } = judgement
      if (error === 'invalid_scope') throw new errors.InvalidScope(description, scope)
      throw new errors.InvalidTarget(description)
    }
    for (const scope of judgement.leftOut) {
      onLeftOut(leftOut(client, scope, 'the scope is unknown'))
    }
    if (judgement.leftOut.length > 0) params.scope = judgement.kept.join(' ')
  }
}
