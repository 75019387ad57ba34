import type { Violation } from '../../errors.ts'
import { type ClientRule, hasPeople, type RuledClient, withoutEffect } from './rule.ts'

/** Keyturn's own properties: what each needs to have an effect, and where it would be unsafe. */

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
    const why = 'grant_types lacks refresh_token'
    return OF_REFRESHES.flatMap((name) => idle(client, name, why))
  }
  if (!lists(scope, 'offline_access')) {
    const why = 'the client gets no refresh token without offline_access in scope'
    return OF_REFRESHES.flatMap((name) => idle(client, name, why))
  }
  if (types.includes('code')) return []
  // A device cannot send prompt=consent.
  return idle(client, 'offline_access_without_prompt', 'devices get refresh tokens without it')
}

function rotationRule(client: RuledClient): readonly Violation[] {
  const path = 'refresh_token_rotation'
  const { [path]: rotation, method, dpop_bound_access_tokens: hasProof } = client
  if (rotation !== 'never' || method !== 'none' || hasProof) return []
  const message =
    'refresh tokens of a public client without DPoP must rotate, because only rotation reveals a stolen one (RFC 9700, section 2.2.2)'
  const fix = `remove ${path}, or set dpop_bound_access_tokens to true`
  return [{ path, value: rotation, rule: path.replaceAll('_', '-'), message, fix }]
}

/** People must be asked if the identity of an app is not assured (RFC 8252, section 8.6). */
function consentRule(client: RuledClient): readonly Violation[] {
  const { consent, isNative, redirect_uris: uris = [] } = client
  const open = uris.find((uri: string | undefined) => uri && !uri.startsWith('https:'))
  if (consent !== 'skip' || !isNative || open === undefined) return []
  const path = 'consent'
  const message =
    `another application on the device could claim "${open}" and pose as this one without people ` +
    'being asked (RFC 8252, section 8.6)'
  const fix = `remove ${path}, or use only redirect_uris of https, which the app claims`
  return [{ path, value: consent, rule: 'app-consent', message, fix }]
}

type OwnName = (typeof OF_PEOPLE)[number] | (typeof OF_REFRESHES)[number]

/** The violation if the client sets a property that has no effect. */
function idle(client: RuledClient, name: OwnName, why: string): readonly Violation[] {
  const { [name]: value } = client
  return value === undefined || value === false ? [] : [withoutEffect(name, value, why)]
}

/** True if the client may ask for the scope; a client without a list may ask for all. */
function lists(scope: string | undefined, name: string): boolean {
  return scope?.split(' ').includes(name) ?? true
}
