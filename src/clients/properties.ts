import { z } from 'zod'
import { duration } from '../values/duration.ts'
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
 * Every property that a client can have, once: validation, description, JSON Schema, the help of
 * `clients add` and what oidc-provider carries come from here. What ties properties to each other
 * and to the configuration is in `rules.ts`. An `error` text completes the sentence "it must be ...".
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

/** What oidc-provider takes for `client_secret_jwt` and `private_key_jwt`. */
export const SECRET_ALGORITHMS = ['HS256'] as const
export const KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'] as const

const word = () => textBy(nameProblem).optional()
const flag = () => z.boolean().optional()
const listOf = <T extends readonly [string, ...string[]]>(values: T) =>
  z.array(z.enum(values)).optional()
const page = () => textBy(pageUriProblem).optional()
const called = () => textBy(calledUriProblem).optional()

/** RFC 6749, appendix A.2. */
const clientSecretProblem: TextRule = (text) => {
  const problem = secretProblem(text)
  if (problem || /^[\x20-\x7e]+$/.test(text)) return problem
  return { expected: 'text of ASCII characters (RFC 6749, appendix A.2)' }
}

/** RFC 6749, section 3.3: single blanks separate them. */
const scopesProblem: TextRule = (text) => {
  const problem = nameProblem(text)
  if (problem || !text.includes('  ')) return problem
  return { expected: 'scopes with single blanks between them', instead: text.replace(/ +/g, ' ') }
}

const emailProblem: TextRule = (text) =>
  /^[\w.!#$%&'*+/=?^`{|}~-]+@[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*$/.test(text)
    ? undefined
    : { expected: 'an email address' }

/** When a refresh gives another refresh token. */
export const refreshTokenRotation = z.enum(['auto', 'always', 'never'])

/** RFC 7591 and OpenID Connect Dynamic Client Registration 1.0, section 2. */
const registeredProperties = {
  client_id: textBy(clientIdProblem).describe('Its name in requests.'),
  client_name: textBy(clientNameProblem)
    .optional()
    .describe('Shown when people are asked for consent.'),
  client_secret: textBy(clientSecretProblem)
    .optional()
    .meta({ writeOnly: true })
    .describe('Proves the client at /token; made where one is needed and none is given.'),
  client_secret_expires_at: z
    .int()
    .min(0)
    .optional()
    .describe('The secret ends then, in seconds since 1970; 0 for never.'),
  application_type: z
    .enum(['web', 'native'])
    .optional()
    .describe('native for a phone or desktop, whose redirect URIs may have other schemes; web.'),
  redirect_uris: z
    .array(textBy(redirectUriProblem))
    .optional()
    .describe('Where people come back to after a sign-in.'),
  post_logout_redirect_uris: z
    .array(textBy(redirectUriProblem))
    .optional()
    .describe('Where they may come back to after a sign-out.'),
  grant_types: listOf(GRANT_TYPES).describe('How it gets tokens; authorization_code unless told.'),
  response_types: listOf(['code']).describe('code, or none for a client without people.'),
  response_modes: listOf(RESPONSE_MODES).describe(
    'How it may get its code; every way unless told.',
  ),
  scope: textBy(scopesProblem)
    .optional()
    .describe('All OpenID scopes that it may ask for, separated by blanks.'),
  token_endpoint_auth_method: z
    .enum(AUTH_METHODS)
    .optional()
    .describe('How it proves itself; client_secret_basic; none for a public client.'),
  token_endpoint_auth_signing_alg: z
    .enum([...SECRET_ALGORITHMS, ...KEY_ALGORITHMS])
    .optional()
    .describe('The one algorithm of its assertions; any that Keyturn takes.'),
  jwks: jwksSchema.optional().describe('Its public keys, for private_key_jwt.'),
  jwks_uri: called().describe('Where it publishes them, instead of jwks.'),
  id_token_signed_response_alg: word().describe('Signs its ID tokens; needs a ring; RS256.'),
  userinfo_signed_response_alg: word().describe('Signs its userinfo; plain JSON unless told.'),
  introspection_signed_response_alg: word().describe('Signs what it introspects (RFC 9701).'),
  authorization_signed_response_alg: word().describe('Signs authorization responses (JARM).'),
  subject_type: z.literal('public').optional().describe('public: all clients know one sub.'),
  default_max_age: z
    .int()
    .min(0)
    .optional()
    .describe('Seconds after which people sign in again, where a request does not say.'),
  require_auth_time: flag().describe('Do its ID tokens say when the person signed in?'),
  require_pushed_authorization_requests: flag().describe(
    'Does it begin sign-ins by pushed requests alone (RFC 9126)?',
  ),
  dpop_bound_access_tokens: flag().describe('Does it get tokens with a proof alone (RFC 9449)?'),
  backchannel_logout_uri: called().describe('Told of a sign-out (Back-Channel Logout 1.0).'),
  backchannel_logout_session_required: flag().describe('Is it told which session ended?'),
  client_uri: page().describe('Its home page.'),
  initiate_login_uri: textBy(securePageUriProblem)
    .optional()
    .describe('Where it begins a sign-in; error pages lead there.'),
  logo_uri: page().describe('Its logo, shown where people sign in and are asked for consent.'),
  policy_uri: page().describe('How it treats what it learns of people.'),
  tos_uri: page().describe('Its terms of service.'),
  contacts: z.array(textBy(emailProblem)).optional().describe('Who answers for it, by email.'),
}

/**
 * Properties that no specification has: Keyturn's own. THE ONE PLACE for them; a line here is all
 * it takes for configuration, commands, help and JSON Schema, and for oidc-provider to carry the
 * value, where `ownProperties` reads it. Each is `optional()` and has a description. What is stored
 * and read is the schema's output, so that durations are seconds.
 */
const properties = {
  profile: z
    .literal('fapi2')
    .optional()
    .describe('fapi2: it is held to the FAPI 2.0 Security Profile.'),
  resources: z
    .record(textBy(resourceProblem), z.array(textBy(scopeProblem)))
    .optional()
    .describe('APIs by identifier, each with the scopes that it may get there; none unless told.'),
  default_resource: textBy(resourceProblem)
    .optional()
    .describe('The API that its access tokens are for where a request names none.'),
  consent: z
    .enum(['ask', 'skip'])
    .optional()
    .describe('skip: people are not asked what it may do, as it is an application of your own.'),
  offline_access_without_prompt: flag().describe(
    'Does it get refresh tokens without prompt=consent (OIDC Core, section 11)?',
  ),
  refresh_token_rotation: refreshTokenRotation
    .optional()
    .describe('Instead of tokens.refreshTokenRotation.'),
  claims_in_id_token: flag().describe(
    'Has its ID token the claims of its scopes, as userinfo has them?',
  ),
  access_token_lifetime: duration()
    .optional()
    .describe('Of its access tokens, instead of tokens.*; of the API where that is shorter.'),
  id_token_lifetime: duration().optional().describe('Instead of tokens.idToken.'),
  refresh_token_lifetime: duration().optional().describe('Instead of tokens.refreshToken.'),
} satisfies z.ZodRawShape

export const OWN_PROPERTIES: readonly string[] = Object.keys(properties)

export type OwnProperties = Readonly<z.output<z.ZodObject<typeof properties>>>

/**
 * What a client has of Keyturn's own properties.
 * @param client of oidc-provider, which changes the spelling of registered properties only; or its metadata
 */
export function ownProperties(client: object): OwnProperties {
  // All metadata passed `clientSchema` before it was stored.
  return client as OwnProperties
}

const withoutEffect = Object.fromEntries(
  Object.entries(WITHOUT_EFFECT).map(([name, why]) => [name, absent(name, why)]),
)

/** `deprecated` is JSON Schema's word for what nobody should write. */
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

/** A client as it is stored. */
export type ClientProperties = Readonly<z.output<z.ZodObject<typeof offered>>>

/**
 * Metadata as people write it: what is stored of Keyturn's own properties is the schema's output, such
 * as seconds for a duration.
 */
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

/** Names of what a client can have with effect. */
export const OFFERED_PROPERTIES: readonly string[] = Object.keys(offered)

/** Names and descriptions, for help. */
export function describedProperties(): readonly (readonly [name: string, description: string])[] {
  return Object.entries(offered).map(([name, { description = '' }]) => [name, description])
}
