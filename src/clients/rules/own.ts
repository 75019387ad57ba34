import type { Violation } from '../../errors.ts'
import { type ClientRule, hasPeople, type RuledClient, withoutEffect } from './rule.ts'

/** Keyturn's own properties: what they need to have an effect, and whom they must not help. */

export const OWN_RULES: readonly ClientRule[] = [
  { needs: ['grant_types', 'response_types', 'scope'], check: peopleRule },
  { needs: ['grant_types', 'response_types', 'scope'], check: refreshRule },
  { needs: ['refresh_token_rotation', 'token_endpoint_auth_method'], check: rotationRule },
  { needs: ['consent', 'application_type', 'redirect_uris'], check: consentRule },
]

const OF_PEOPLE = ['consent', 'claims_in_id_token', 'id_token_lifetime'] as const

function peopleRule(client: RuledClient): readonly Violation[] {
  const why = whyNoIdTokens(client)
  if (why === undefined) return []
  return OF_PEOPLE.flatMap((name) => idle(client, name, why))
}

function whyNoIdTokens({ grants, scope }: RuledClient): string | undefined {
  if (!hasPeople(grants)) return 'nobody signs in to the client'
  return lists(scope, 'openid') ? undefined : 'the client gets no ID token without openid in scope'
}

const OF_REFRESHES = [
  'offline_access_without_prompt',
  'refresh_token_rotation',
  'refresh_token_lifetime',
] as const

function refreshRule(client: RuledClient): readonly Violation[] {
  const { grants, types, scope } = client
  if (!grants.includes('refresh_token')) {
    const why = 'the client has not the grant type refresh_token'
    return OF_REFRESHES.flatMap((name) => idle(client, name, why))
  }
  if (!lists(scope, 'offline_access')) {
    const why = 'the client gets no refresh token without offline_access in scope'
    return OF_REFRESHES.flatMap((name) => idle(client, name, why))
  }
  if (types.includes('code')) return []
  // A device has no way to ask for the prompt.
  return idle(client, 'offline_access_without_prompt', 'devices get refresh tokens without it')
}

function rotationRule(client: RuledClient): readonly Violation[] {
  const path = 'refresh_token_rotation'
  const { [path]: rotation, method, dpop_bound_access_tokens: hasProof } = client
  if (rotation !== 'never' || method !== 'none' || hasProof) return []
  const message =
    'its refresh tokens rotate all the same, as nothing else tells that one was stolen (RFC 9700, section 2.2.2)'
  const fix = `remove ${path}, or set dpop_bound_access_tokens to true`
  return [{ path, value: rotation, rule: path.replaceAll('_', '-'), message, fix }]
}

/** RFC 8252, section 8.6: where the identity of an app is not assured, the person has to see what goes on. */
function consentRule(client: RuledClient): readonly Violation[] {
  const { consent, isNative, redirect_uris: uris = [] } = client
  const open = uris.find((uri: string | undefined) => uri && !uri.startsWith('https:'))
  if (consent !== 'skip' || !isNative || open === undefined) return []
  const path = 'consent'
  const message =
    `any application on the device can take "${open}" and come in the place of this one, and nobody ` +
    'would be asked (RFC 8252, section 8.6)'
  const fix = `remove ${path}, or have redirect_uris of https alone, which the app claims`
  return [{ path, value: consent, rule: 'app-consent', message, fix }]
}

type OwnName = (typeof OF_PEOPLE)[number] | (typeof OF_REFRESHES)[number]

/** Where it says something. */
function idle(client: RuledClient, name: OwnName, why: string): readonly Violation[] {
  const { [name]: value } = client
  return value === undefined || value === false ? [] : [withoutEffect(name, value, why)]
}

/** All OpenID scopes, unless the client has a list. */
function lists(scope: string | undefined, name: string): boolean {
  return scope?.split(' ').includes(name) ?? true
}
