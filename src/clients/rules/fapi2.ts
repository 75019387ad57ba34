import type { Violation } from '../../errors.ts'
import type { ClientContext } from '../context.ts'
import {
  FAPI2,
  FAPI2_ALGORITHMS,
  FAPI2_AUTHENTICATION,
  FAPI2_CLOCKS,
  FAPI2_IMPOSED,
} from '../fapi2.ts'
import { verifiesOneOf } from '../jwks.ts'
import { SIGNED_ANSWERS, type SignedAnswer } from '../signed-answers.ts'
import { isPlainHttp } from '../uris.ts'
import type { ClientRule, RuledClient } from './rule.ts'

/** Rules of the FAPI 2.0 Security Profile for a client that must meet it. */

export const FAPI2_RULES: readonly ClientRule[] = [
  { needs: ['profile', 'token_endpoint_auth_method'], check: held(authenticationRule) },
  { needs: ['profile', 'token_endpoint_auth_signing_alg'], check: held(assertionRule) },
  {
    needs: ['profile', 'jwks', 'token_endpoint_auth_method', 'token_endpoint_auth_signing_alg'],
    check: held(keysRule),
  },
  { needs: ['profile'], check: held(answersRule) },
  { needs: ['profile'], check: held(imposedRule) },
  { needs: ['profile', 'application_type'], check: held(redirectRule) },
  { needs: ['profile'], check: held(clocksRule) },
  { needs: ['profile', 'resources'], check: held(apisRule) },
]

/** The name of all these rules. */
export const FAPI2_RULE = 'fapi2'

type Problem = Omit<Violation, 'rule'>

function held(
  problems: (client: RuledClient, context: ClientContext) => readonly Problem[],
): ClientRule['check'] {
  return (client, context) => {
    const { profile } = context
    if (client.profile !== FAPI2 && profile !== FAPI2) return []
    const whose = profile === FAPI2 ? 'the profile of the server' : 'its profile'
    return problems(client, context).map(({ message, ...problem }) => ({
      ...problem,
      rule: FAPI2_RULE,
      message: `${message}, because ${whose} is fapi2 (FAPI 2.0 Security Profile)`,
    }))
  }
}

const ALGORITHMS = FAPI2_ALGORITHMS.join(', ')

function authenticationRule({
  method,
  token_endpoint_auth_method: given,
}: RuledClient): readonly Problem[] {
  if (method === FAPI2_AUTHENTICATION) return []
  const path = 'token_endpoint_auth_method'
  const message = `it is ${method}, but must be ${FAPI2_AUTHENTICATION}`
  const fix = `set ${path} to ${FAPI2_AUTHENTICATION}, and jwks_uri or jwks to its public keys`
  return [{ path, value: given ?? null, message, fix }]
}

function assertionRule(client: RuledClient): readonly Problem[] {
  const path = 'token_endpoint_auth_signing_alg'
  const { [path]: algorithm, method } = client
  if (algorithm === undefined || method !== FAPI2_AUTHENTICATION) return []
  if (FAPI2_ALGORITHMS.includes(algorithm)) return []
  const message = `it is ${algorithm}, but must be one of ${ALGORITHMS}`
  return [{ path, value: algorithm, message, fix: `set ${path} to one of ${ALGORITHMS}` }]
}

function keysRule(client: RuledClient): readonly Problem[] {
  const { jwks, method, token_endpoint_auth_signing_alg: algorithm } = client
  if (jwks === undefined || algorithm !== undefined || method !== FAPI2_AUTHENTICATION) return []
  if (jwks.keys.some((key) => verifiesOneOf(key, FAPI2_ALGORITHMS))) return []
  const message = `none of its keys verifies one of ${ALGORITHMS}, and other algorithms are not allowed`
  return [{ path: 'jwks', value: jwks, message, fix: `add a public key for one of ${ALGORITHMS}` }]
}

function answersRule(client: RuledClient): readonly Problem[] {
  return (Object.keys(SIGNED_ANSWERS) as SignedAnswer[]).flatMap((path) => {
    const { [path]: asked } = client
    // ID tokens default to RS256 (OpenID Connect Registration 1.0, section 2).
    const isImplied = path === 'id_token_signed_response_alg' && asked === undefined
    if (!isImplied && (asked === undefined || FAPI2_ALGORITHMS.includes(asked))) return []
    const state = isImplied ? 'is missing, which means RS256' : `is ${asked}`
    const message = `it ${state}, but must be one of ${ALGORITHMS}`
    return [
      {
        path,
        value: asked ?? null,
        message,
        fix: `set ${path} to one of ${ALGORITHMS} with a ring`,
      },
    ]
  })
}

/** Imposed properties need not be set, but must not be set to another value. */
function imposedRule(client: RuledClient): readonly Problem[] {
  const given: Readonly<Record<string, unknown>> = { ...client }
  return Object.entries(FAPI2_IMPOSED).flatMap(([path, imposed]) => {
    const { [path]: value } = given
    if (value === undefined || value === imposed) return []
    const message = `it is ${value}, but must be ${imposed}`
    return [{ path, value, message, fix: `remove ${path}, or set it to ${imposed}` }]
  })
}

/** Section 5.3.2.2: http is for native applications alone, on their own machine (RFC 8252). */
function redirectRule({ redirect_uris: uris = [], isNative }: RuledClient): readonly Problem[] {
  return uris.flatMap((uri, index) => {
    if (uri === undefined || !uri.startsWith('http:')) return []
    const path = `redirect_uris.${index}`
    if (isPlainHttp(uri)) {
      const message = `it is "${uri}", but http may lead only to this machine`
      return [{ path, value: uri, message, fix: 'use https' }]
    }
    if (isNative) return []
    const message = `it is "${uri}", but only an application on a phone or desktop may have http`
    return [{ path, value: uri, message, fix: 'use https, or set application_type to native' }]
  })
}

/**
 * The server must accept clients whose clocks are ahead, and oidc-provider has one tolerance for
 * all clients. The upper limit is imposed on each client (`oidc/profiles/fapi2.ts`).
 */
function clocksRule(
  client: RuledClient,
  { profile, clockTolerance: tolerance }: ClientContext,
): readonly Problem[] {
  const { least } = FAPI2_CLOCKS
  if (profile === FAPI2 || tolerance >= least) return []
  const message = `tokens.clockTolerance is ${tolerance}s, but must be at least ${least}s`
  const fix = `set tokens.clockTolerance to ${least}s or more`
  return [{ path: 'profile', value: client.profile, message, fix }]
}

/** If the server has the profile, `config/fapi2.ts` refuses the APIs themselves. */
function apisRule(
  { resources = {} }: RuledClient,
  { profile, resources: apis }: ClientContext,
): readonly Problem[] {
  if (profile === FAPI2) return []
  return apis.flatMap(({ identifier, tokenFormat, algorithm }) => {
    if (!Object.hasOwn(resources, identifier) || tokenFormat !== 'jwt') return []
    if (FAPI2_ALGORITHMS.includes(algorithm)) return []
    const message = `the API gets JWTs signed with ${algorithm}, but must get one of ${ALGORITHMS}`
    const fix = `set algorithm of the API to one of ${ALGORITHMS}, or tokenFormat to opaque, or remove the API here`
    return [{ path: `resources.${identifier}`, value: algorithm, message, fix }]
  })
}
