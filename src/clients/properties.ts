import { z } from 'zod'
import {
  clientIdProblem,
  nameProblem,
  proseProblem,
  secretProblem,
  textBy,
} from '../config/text.ts'
import { uriProblem } from '../config/uri.ts'

/**
 * Every property that a client can have, once: validation, description, JSON Schema, the help of
 * `clients add` and what oidc-provider carries come from here. An `error` text completes the
 * sentence "it must be ...".
 */

const word = () => textBy(nameProblem).optional()
const words = () => z.array(textBy(nameProblem)).optional()
/** Text that is empty means, with some programs that write metadata, that there is none. */
const uri = () => textBy((text) => (text === '' ? undefined : uriProblem(text))).optional()
const uris = () => z.array(textBy(uriProblem)).optional()

/** RFC 7591 and OpenID Connect Dynamic Client Registration 1.0, section 2. */
const registeredProperties = {
  client_id: textBy(clientIdProblem).describe('Its name in requests.'),
  client_name: textBy(proseProblem).optional().describe('Shown when people are asked for consent.'),
  client_secret: textBy(secretProblem)
    .optional()
    .meta({ writeOnly: true })
    .describe('Proves the client at /token; made where one is needed and none is given.'),
  redirect_uris: uris().describe('Where people come back to after a sign-in.'),
  post_logout_redirect_uris: uris().describe('Where they may come back to after a sign-out.'),
  request_uris: uris(),
  backchannel_logout_uri: uri().describe('Told of a sign-out (Back-Channel Logout 1.0).'),
  client_uri: uri().describe('Its home page.'),
  logo_uri: uri().describe('Its logo.'),
  policy_uri: uri().describe('How it treats what it learns of people.'),
  tos_uri: uri().describe('Its terms of service.'),
  jwks_uri: uri().describe('Its public keys, for private_key_jwt.'),
  sector_identifier_uri: uri(),
  initiate_login_uri: uri().describe('Where others may send people to sign in to it.'),
  grant_types: words().describe('How it gets tokens; authorization_code unless told.'),
  response_types: words().describe('code, or none for a client without people.'),
  scope: word().describe('All OpenID scopes that it may ask for, separated by blanks.'),
  token_endpoint_auth_method: word().describe('How it proves itself; client_secret_basic.'),
  id_token_signed_response_alg: word().describe('Signs its ID tokens; needs a ring; RS256.'),
  userinfo_signed_response_alg: word().describe('Signs its userinfo; plain JSON unless told.'),
  introspection_signed_response_alg: word().describe('Signs what it introspects (RFC 9701).'),
  authorization_signed_response_alg: word().describe('Signs authorization responses (JARM).'),
}

/**
 * Properties that no specification has: Keyturn's own. THE ONE PLACE for them; a line here is all
 * it takes for configuration, commands, help and JSON Schema, and for oidc-provider to carry the
 * value, where `ownProperties` reads it. Each is `optional()` and has a description. What is stored
 * and read is the schema's output, so that durations are seconds.
 */
const properties = {} satisfies z.ZodRawShape

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

/** What is not named here is passed on; oidc-provider judges it. */
export const clientSchema = z.looseObject({ ...registeredProperties, ...properties })

/** Names and descriptions, for help. */
export function describedProperties(): readonly (readonly [name: string, description: string])[] {
  return Object.entries(clientSchema.shape).flatMap(([name, { description }]) =>
    description === undefined ? [] : [[name, description] as const],
  )
}
