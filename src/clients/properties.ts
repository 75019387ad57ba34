import { z } from 'zod'
import { duration } from '../values/duration-setting.ts'
import {
  clientIdProblem,
  clientNameProblem,
  nameProblem,
  scopeProblem,
  secretProblem,
  type TextRule,
  textBy,
} from '../values/text.ts'
import { resourceProblem } from '../values/uri.ts'
import { jwksSchema } from './jwks.ts'
import {
  calledUriProblem,
  pageUriProblem,
  redirectUriProblem,
  securePageUriProblem,
} from './uris.ts'
import { WITHOUT_EFFECT } from './without-effect.ts'

/**
 * Every property that a client can have. Validation, JSON Schema, the help of `clients add` and the
 * properties that oidc-provider carries come from this table. Rules that tie properties to each
 * other and to the configuration are in `rules.ts`. An `error` text completes "it must be ...".
 */

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'

export const GRANT_TYPES = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  DEVICE_CODE,
] as const

export const AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'none',
] as const

/** OAuth 2.0 Multiple Response Types, Form Post and JARM. */
const RESPONSE_MODES = [
  'query',
  'form_post',
  'fragment',
  'jwt',
  'query.jwt',
  'form_post.jwt',
  'fragment.jwt',
] as const

/** Algorithms of assertions that oidc-provider takes, for `client_secret_jwt`. */
export const SECRET_ALGORITHMS = ['HS256'] as const
/** Algorithms of assertions that oidc-provider takes, for `private_key_jwt`. */
export const KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'] as const

const word = () => textBy(nameProblem).optional()
const flag = () => z.boolean().optional()
const listOf = <T extends readonly [string, ...string[]]>(values: T) =>
  z.array(z.enum(values)).optional()
const page = () => textBy(pageUriProblem).optional()
const called = () => textBy(calledUriProblem).optional()

/** Only printable ASCII (RFC 6749, appendix A.2). */
const clientSecretProblem: TextRule = (text) => {
  const problem = secretProblem(text)
  if (problem || /^[\x20-\x7e]+$/.test(text)) return problem
  return { expected: 'text of ASCII characters (RFC 6749, appendix A.2)' }
}

/** Single blanks separate scopes (RFC 6749, section 3.3). */
const scopesProblem: TextRule = (text) => {
  const problem = nameProblem(text)
  if (problem || !text.includes('  ')) return problem
  return { expected: 'scopes with single blanks between them', instead: text.replace(/ +/g, ' ') }
}

const emailProblem: TextRule = (text) =>
  /^[\w.!#$%&'*+/=?^`{|}~-]+@[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*$/.test(text)
    ? undefined
    : { expected: 'an email address' }

/** The choice of when a refresh issues a new refresh token. */
export const refreshTokenRotation = z.enum(['auto', 'always', 'never'])

/** Properties of RFC 7591 and OpenID Connect Dynamic Client Registration 1.0, section 2. */
const registeredProperties = {
  client_id: textBy(clientIdProblem).describe('Name of the client in requests.'),
  client_name: textBy(clientNameProblem)
    .optional()
    .describe('Shown when people are asked for consent.'),
  client_secret: textBy(clientSecretProblem)
    .optional()
    .meta({ writeOnly: true })
    .describe('Authenticates the client at /token; generated if it is needed and missing.'),
  client_secret_expires_at: z
    .int()
    .min(0)
    .optional()
    .describe('End of the secret in seconds since 1970; 0 for never.'),
  application_type: z
    .enum(['web', 'native'])
    .optional()
    .describe(
      'native: for a phone or desktop, may have redirect URIs of other schemes; default web.',
    ),
  redirect_uris: z
    .array(textBy(redirectUriProblem))
    .optional()
    .describe('Where people return after a sign-in.'),
  post_logout_redirect_uris: z
    .array(textBy(redirectUriProblem))
    .optional()
    .describe('Where people may return after a sign-out.'),
  grant_types: listOf(GRANT_TYPES).describe('Ways to get tokens; default authorization_code.'),
  response_types: listOf(['code']).describe(
    'code, or empty for a client to which nobody signs in.',
  ),
  response_modes: listOf(RESPONSE_MODES).describe('Ways to get the code; default all.'),
  scope: textBy(scopesProblem)
    .optional()
    .describe('OpenID scopes that the client may ask for, separated by blanks; default all.'),
  token_endpoint_auth_method: z
    .enum(AUTH_METHODS)
    .optional()
    .describe(
      'How the client authenticates; none for a public client; default client_secret_basic.',
    ),
  token_endpoint_auth_signing_alg: z
    .enum([...SECRET_ALGORITHMS, ...KEY_ALGORITHMS])
    .optional()
    .describe('The only algorithm of its assertions; default any that Keyturn takes.'),
  jwks: jwksSchema.optional().describe('Public keys of the client, for private_key_jwt.'),
  jwks_uri: called().describe('URL of its public keys, instead of jwks.'),
  id_token_signed_response_alg: word().describe(
    'Algorithm of its ID tokens, which needs a ring; default RS256.',
  ),
  userinfo_signed_response_alg: word().describe('Algorithm of its userinfo; default plain JSON.'),
  introspection_signed_response_alg: word().describe(
    'Algorithm of answers to introspection (RFC 9701).',
  ),
  authorization_signed_response_alg: word().describe(
    'Algorithm of authorization responses (JARM).',
  ),
  subject_type: z
    .literal('public')
    .optional()
    .describe('public: a person has the same sub for all clients.'),
  default_max_age: z
    .int()
    .min(0)
    .optional()
    .describe('Seconds after which people must sign in again, unless a request says.'),
  require_auth_time: flag().describe('true: ID tokens have auth_time.'),
  require_pushed_authorization_requests: flag().describe(
    'true: sign-ins need a pushed request (RFC 9126).',
  ),
  dpop_bound_access_tokens: flag().describe('true: tokens need a DPoP proof (RFC 9449).'),
  backchannel_logout_uri: called().describe(
    'URL that is told of a sign-out (Back-Channel Logout 1.0).',
  ),
  backchannel_logout_session_required: flag().describe(
    'true: logout tokens name the session (sid).',
  ),
  client_uri: page().describe('Home page of the client.'),
  initiate_login_uri: textBy(securePageUriProblem)
    .optional()
    .describe('Page of the client that begins a sign-in; error pages link to it.'),
  logo_uri: page().describe('Logo, shown where people sign in and are asked for consent.'),
  policy_uri: page().describe('Privacy policy of the client.'),
  tos_uri: page().describe('Terms of service of the client.'),
  contacts: z
    .array(textBy(emailProblem))
    .optional()
    .describe('Email addresses of those responsible for the client.'),
}

/**
 * Keyturn's own properties, which no specification has. A line here is enough for configuration,
 * commands, help and JSON Schema, and for oidc-provider to carry the value, which `ownProperties`
 * reads. Each is `optional()` and has a description. The schema's output is stored, so that
 * durations are seconds.
 */
const properties = {
  profile: z
    .literal('fapi2')
    .optional()
    .describe('fapi2: the client must meet the FAPI 2.0 Security Profile.'),
  resources: z
    .record(textBy(resourceProblem), z.array(textBy(scopeProblem)))
    .optional()
    .describe('APIs by identifier, each with the scopes that the client may get; default none.'),
  default_resource: textBy(resourceProblem)
    .optional()
    .describe('API of its access tokens if a request names none.'),
  consent: z
    .enum(['ask', 'skip'])
    .optional()
    .describe(
      'skip: people are not asked for consent, for an application of your own; default ask.',
    ),
  offline_access_without_prompt: flag().describe(
    'true: refresh tokens without prompt=consent (OIDC Core, section 11).',
  ),
  refresh_token_rotation: refreshTokenRotation
    .optional()
    .describe('Instead of tokens.refreshTokenRotation.'),
  claims_in_id_token: flag().describe(
    'true: ID tokens have the claims of their scopes, as userinfo does.',
  ),
  access_token_lifetime: duration()
    .optional()
    .describe('Of its access tokens, instead of tokens.*; a shorter one of the API wins.'),
  id_token_lifetime: duration().optional().describe('Instead of tokens.idToken.'),
  refresh_token_lifetime: duration().optional().describe('Instead of tokens.refreshToken.'),
} satisfies z.ZodRawShape

export const OWN_PROPERTIES: readonly string[] = Object.keys(properties)

export type OwnProperties = Readonly<z.output<z.ZodObject<typeof properties>>>

/**
 * Keyturn's own properties of a client.
 * @param client metadata, or a client of oidc-provider, which renames registered properties only
 */
export function ownProperties(client: object): OwnProperties {
  // The cast is right, because `clientSchema` checked all metadata before they were stored.
  return client as OwnProperties
}

const withoutEffect = Object.fromEntries(
  Object.entries(WITHOUT_EFFECT).map(([name, why]) => [name, absent(name, why)]),
)

/** A property that must be left out; `deprecated` is JSON Schema's word for it. */
function absent(name: string, why: string) {
  return z
    .unknown()
    .check(({ value: input, issues }) => {
      if (input === undefined) return
      const message = `left out, because ${why}`
      issues.push({ code: 'custom', input, message, params: { remove: true } })
    })
    .optional()
    .meta({ deprecated: true, writeOnly: /_token$|statement/.test(name) })
}

const offered = { ...registeredProperties, ...properties }

export const clientSchema = z.strictObject({ ...offered, ...withoutEffect })

/** Properties of a client as they are stored. */
export type ClientProperties = Readonly<z.output<z.ZodObject<typeof offered>>>

/** Stored metadata as people write them, such as `10m` for a duration of 600 seconds. */
export function asWritten(
  metadata: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const own: Readonly<Record<string, z.ZodType>> = properties
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => {
      const schema = Object.hasOwn(own, name) ? own[name] : undefined
      return [name, schema ? z.encode(schema, value) : value]
    }),
  )
}

/** Names of all properties that have an effect. */
export const OFFERED_PROPERTIES: readonly string[] = Object.keys(offered)

/** Names and descriptions of all properties, for help. */
export function describedProperties(): readonly (readonly [name: string, description: string])[] {
  return Object.entries(offered).map(([name, { description = '' }]) => [name, description])
}
