import type { Violation } from '../../errors.ts'
import { type ClientRule, hasPeople, type RuledClient, withoutEffect } from './rule.ts'

/** How a client gets tokens, and properties that depend on it. */

export const GRANT_RULES: readonly ClientRule[] = [
  { needs: ['grant_types', 'response_types'], check: responseTypesRule },
  { needs: ['grant_types', 'response_types', 'redirect_uris'], check: redirectRule },
  { needs: ['grant_types', 'response_types'], check: peopleRule },
  { needs: ['grant_types', 'response_types', 'response_modes'], check: responseModesRule },
  { needs: ['grant_types', 'token_endpoint_auth_method'], check: grantsRule },
]

function responseTypesRule({ grants, types, response_types }: RuledClient): readonly Violation[] {
  const hasCode = types.includes('code')
  if (hasCode === grants.includes('authorization_code')) return []
  const message = hasCode
    ? 'it has code, but grant_types lacks authorization_code'
    : 'it lacks code, but grant_types has authorization_code'
  const fix = hasCode
    ? 'add authorization_code to grant_types, or set response_types to []'
    : 'set response_types to [code], or remove authorization_code from grant_types'
  return [
    { path: 'response_types', value: response_types ?? null, rule: 'response-types', message, fix },
  ]
}

function redirectRule({ types, redirect_uris: uris }: RuledClient): readonly Violation[] {
  const path = 'redirect_uris'
  if (types.includes('code')) {
    if (uris !== undefined && uris.length > 0) return []
    const message =
      'it is missing or empty, so that people who sign in could not return to the client'
    const fix =
      'set redirect_uris, or set grant_types to [client_credentials] if nobody signs in to the client'
    return [{ path, value: uris ?? null, rule: 'missing', message, fix }]
  }
  if (uris === undefined || uris.length === 0) return []
  return [withoutEffect(path, uris, 'people return only to clients with authorization_code')]
}

/** Properties that need sign-ins by a browser. */
const OF_CODE = ['response_modes', 'authorization_signed_response_alg', 'default_max_age'] as const
/** Properties that need sign-ins by a browser or a device. */
const OF_PEOPLE = [
  'post_logout_redirect_uris',
  'backchannel_logout_uri',
  'userinfo_signed_response_alg',
] as const

function peopleRule(client: RuledClient): readonly Violation[] {
  const { grants, types } = client
  const idle = [
    ...(types.includes('code')
      ? []
      : OF_CODE.map((name) => [name, 'the client gets no code'] as const)),
    ...(hasPeople(grants) ? [] : OF_PEOPLE.map((name) => [name, 'nobody signs in to it'] as const)),
  ]
  return idle.flatMap(([name, why]) => {
    const value = client[name]
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return []
    return [withoutEffect(name, value, why)]
  })
}

function responseModesRule({ types, response_modes: modes }: RuledClient): readonly Violation[] {
  if (modes === undefined || modes.length > 0 || !types.includes('code')) return []
  const message = 'it is empty, so that the client could not get a code'
  return [
    {
      path: 'response_modes',
      value: modes,
      rule: 'missing',
      message,
      fix: 'remove response_modes',
    },
  ]
}

function grantsRule({ grants, method, grant_types: given }: RuledClient): readonly Violation[] {
  const found: Violation[] = []
  const path = 'grant_types'
  const value = given ?? null
  if (grants.length === 0) {
    const message = 'it is empty, so that the client could not get a token'
    found.push({ path, value, rule: 'missing', message, fix: `remove ${path}` })
  }
  if (grants.includes('refresh_token') && !hasPeople(grants)) {
    const message =
      'refresh_token has no effect without authorization_code or the grant type of devices'
    const fix = `add authorization_code to ${path}, or remove refresh_token from it`
    found.push({ path, value, rule: 'no-effect', message, fix })
  }
  if (grants.includes('client_credentials') && method === 'none') {
    const message =
      'client_credentials needs a client that authenticates, but token_endpoint_auth_method is none (RFC 6749, section 4.4)'
    const fix = `remove client_credentials from ${path}, or set token_endpoint_auth_method to client_secret_basic`
    found.push({ path, value, rule: 'grant-types', message, fix })
  }
  return found
}
