import { z } from 'zod'
import { refreshTokenRotation } from '../../clients/properties.ts'
import { duration } from '../../values/duration-setting.ts'
import { proseProblem, scopeProblem, textBy } from '../../values/text.ts'
import { resourceProblem } from '../../values/uri.ts'
import { algorithm, text } from './setting-types.ts'

/** Settings of tokens and of the APIs that they are for. */

/** Lifetime in seconds of a pushed authorization request in oidc-provider. */
const PUSHED_REQUEST = 60

export const tokens = z.strictObject({
  accessToken: duration().describe('Access tokens of a signed-in person.'),
  idToken: duration().describe('ID tokens.'),
  authorizationCode: duration({ max: 600 }).describe('Authorization codes (RFC 6749: <= 10m).'),
  clientCredentials: duration().describe('Access tokens a client gets for itself.'),
  deviceCode: duration().describe('Device codes.'),
  refreshToken: duration().describe('Refresh tokens.'),
  refreshReuseLeeway: duration({ min: 0, max: 60 }).describe(
    'How long a refresh token that was replaced gets its answer again; 0s for not at all.',
  ),
  refreshTokenRotation: refreshTokenRotation.describe(
    'When a refresh gives another refresh token; public clients without DPoP always get one.',
  ),
  grant: duration().describe('Grants, on which refresh tokens depend.'),
  interaction: duration().describe('Time to sign in and consent.'),
  session: duration().describe('Sign-in sessions.'),
  pushedAuthorizationRequest: duration({ max: PUSHED_REQUEST }).describe(
    'Pushed authorization requests (RFC 9126).',
  ),
  signedAuthorizationResponses: z
    .boolean()
    .describe('Whether clients may get codes in signed responses (JARM), which are valid for 2m.'),
  clockTolerance: duration({ min: 0, max: 300 }).describe(
    'How far the clock of a client that signs a JWT may be from true time.',
  ),
})

export const resource = z.strictObject({
  identifier: textBy(resourceProblem).describe(
    'Resource indicator (RFC 8707) that clients ask for.',
  ),
  name: textBy(proseProblem).optional().describe('Shown when a person is asked for consent.'),
  scopes: z.array(textBy(scopeProblem)).describe('Scopes that clients may ask for.'),
  scopeDescriptions: z
    .record(textBy(scopeProblem), textBy(proseProblem))
    .default({})
    .describe('What each scope lets a client do, completing "asks to ...".'),
  tokenFormat: z.enum(['jwt', 'opaque']).default('jwt').describe('Format of access tokens.'),
  algorithm: algorithm.default('RS256').describe('Signs JWT access tokens; needs a ring.'),
  tokenLifetime: duration()
    .optional()
    .describe('Instead of tokens.accessToken, and of tokens.clientCredentials where shorter.'),
  typ: z
    .enum(['at+jwt', 'JWT'])
    .default('at+jwt')
    .describe('typ of JWT access tokens: RFC 9068, or JWT for verifiers that know no other.'),
  audience: text().optional().describe('aud of the tokens; default: the identifier.'),
})
