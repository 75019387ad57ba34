/**
 * Decides which scopes of a request are kept, left out or refused, before a person is asked.
 * Refused are a scope of an API that the request's APIs do not give and, without `openid`, an
 * unknown scope. With `openid` unknown scopes are left out (OpenID Connect Core 1.0, section
 * 3.1.2.1), because many clients ask every provider for the same scopes. Pure.
 */

export interface RequestedScopes {
  readonly scopes: readonly string[]
  /** Scopes that the APIs of the request give this client. */
  readonly given: ReadonlySet<string>
  /** True if the request names an API or the client has a default one. */
  readonly hasApi: boolean
  /** True if a person is asked (OpenID Connect), false if the client acts for itself. */
  readonly isForPerson: boolean
}

export interface ScopeVocabulary {
  readonly isOpenid: (scope: string) => boolean
  /** True for a scope of any API, even one that this client may not use. */
  readonly isOfApi: (scope: string) => boolean
  /** The APIs that would give this client the scope. */
  readonly apisWith: (scope: string) => readonly string[]
}

export type ScopeJudgement =
  | { readonly kept: readonly string[]; readonly leftOut: readonly string[] }
  | ScopeRefusal

export interface ScopeRefusal {
  /** RFC 6749, section 4.1.2.1; RFC 8707, section 2. */
  readonly error: 'invalid_scope' | 'invalid_target'
  readonly description: string
  readonly scope: string
}

export function judgeScopes(
  { scopes, given, hasApi, isForPerson }: RequestedScopes,
  vocabulary: ScopeVocabulary,
): ScopeJudgement {
  const isAuthentication = isForPerson && scopes.includes('openid')
  const kept: string[] = []
  const leftOut: string[] = []
  for (const scope of scopes) {
    if (given.has(scope) || vocabulary.isOpenid(scope)) kept.push(scope)
    else if (vocabulary.isOfApi(scope)) return refusal(scope, hasApi, vocabulary)
    else if (isAuthentication) leftOut.push(scope)
    else return { error: 'invalid_scope', description: `the scope ${scope} is unknown`, scope }
  }
  return { kept, leftOut }
}

/** Explains why this request does not get the scope of an API. */
function refusal(
  scope: string,
  hasApi: boolean,
  { apisWith }: Pick<ScopeVocabulary, 'apisWith'>,
): ScopeRefusal {
  const [api, ...others] = apisWith(scope)
  if (api === undefined) {
    const description = `this client may not get the scope ${scope}: its resources do not list it`
    return { error: 'invalid_scope', description, scope }
  }
  const name = `resource=${api}${others.length > 0 ? ' or another' : ''}`
  if (hasApi) {
    const description = `no API of this request has the scope ${scope}; ${name} has it`
    return { error: 'invalid_scope', description, scope }
  }
  const description = `the scope ${scope} is one of an API, which the request must name: ${name}`
  return { error: 'invalid_target', description, scope }
}
