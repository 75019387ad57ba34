import type { Violation } from '../../errors.ts'
import type { ClientContext } from '../context.ts'
import type { ClientRule, RuledClient } from './rule.ts'

/**
 * APIs and scopes that a client lists must exist, because a misspelt one would grant nothing. No
 * API may accept ID tokens of the client as access tokens.
 */

export const API_RULES: readonly ClientRule[] = [
  { needs: ['resources'], check: resourcesRule },
  { needs: ['resources', 'default_resource'], check: defaultRule },
  { needs: ['client_id'], check: confusionRule },
]

function resourcesRule(
  { resources = {} }: RuledClient,
  { resources: apis }: ClientContext,
): readonly Violation[] {
  return Object.entries(resources).flatMap(([identifier, scopes]) => {
    const path = `resources.${identifier}`
    const api = apis.find((known) => known.identifier === identifier)
    if (!api) return [unknownApi(path, identifier, apis)]
    return scopes.flatMap((scope, index) => {
      if (api.scopes.includes(scope)) return []
      const message = `the API has no scope ${scope}`
      const instead = api.scopes.length > 0 ? `write ${api.scopes.join(' or ')}, or ` : ''
      const fix = `${instead}add ${scope} to the scopes of the API, or remove it`
      return [{ path: `${path}.${index}`, value: scope, rule: 'client-api-scope', message, fix }]
    })
  })
}

function unknownApi(path: string, value: string, apis: ClientContext['resources']): Violation {
  const message = 'no API of the configuration has this identifier'
  const known = apis.map(({ identifier }) => identifier).join(' or ')
  const rename = known === '' ? '' : `rename it to ${known}, or `
  const fix = `${rename}add it to resources of the configuration, or remove it`
  return { path, value, rule: 'client-api', message, fix }
}

function defaultRule({
  resources = {},
  default_resource: value,
}: RuledClient): readonly Violation[] {
  if (value === undefined || Object.hasOwn(resources, value)) return []
  const path = 'default_resource'
  const message =
    'resources of the client do not list this API, so that the client gets no token for it'
  const listed = Object.keys(resources).join(' or ')
  const rename = listed === '' ? '' : `, or set ${path} to ${listed}`
  const fix = `add ${value}: [] with the scopes that the client may get to its resources${rename}`
  return [{ path, value, rule: 'default-resource', message, fix }]
}

/**
 * ID tokens have the type JWT, so that only the audience distinguishes them from access tokens of
 * an API with `typ: JWT`.
 */
function confusionRule(
  { client_id: id }: RuledClient,
  { resources }: ClientContext,
): readonly Violation[] {
  const api = resources.find(
    ({ typ, tokenFormat, audience, identifier }) =>
      typ === 'JWT' && tokenFormat === 'jwt' && (audience ?? identifier) === id,
  )
  if (id === undefined || !api) return []
  const path = 'client_id'
  const message = `the API ${api.identifier} has the same text as its audience and typ: JWT, so that it would accept ID tokens of the client as access tokens`
  const fix = `choose another ${path}, or set typ of the API to at+jwt`
  return [{ path, value: id, rule: 'api-typ', message, fix }]
}
