import type { Violation } from '../../errors.ts'
import type { ClientContext } from '../context.ts'
import type { ClientRule, RuledClient } from './rule.ts'

/**
 * What a client may get at APIs must be there: an API or scope that is misspelt would give nothing. And no
 * API may take its ID tokens for access tokens.
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
  const message = 'the resources of the client do not list it, so that it gets no token for it'
  const listed = Object.keys(resources).join(' or ')
  const rename = listed === '' ? '' : `, or set ${path} to ${listed}`
  const fix = `add ${value}: [] with the scopes that the client may get to its resources${rename}`
  return [{ path, value, rule: 'default-resource', message, fix }]
}

/** ID tokens have the type JWT, so that the audience alone tells them from the tokens of such an API. */
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
  const message = `the API ${api.identifier} has it for its audience and typ: JWT, so that it would take ID tokens of the client for access tokens`
  const fix = `set ${path} to another, or typ of the API to at+jwt`
  return [{ path, value: id, rule: 'api-typ', message, fix }]
}
