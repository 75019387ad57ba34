import { JwtVerifier } from 'aws-jwt-verify'
import { SimpleJwksCache, SimplePenaltyBox } from 'aws-jwt-verify/jwk'
import { createVerifier, type DecodedJwt } from 'fast-jwt'
import getJwks from 'get-jwks'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, importSPKI, jwtVerify } from 'jose'
import jwksRsa from 'jwks-rsa'
import * as client from 'openid-client'
import { ExtractJwt, Strategy } from 'passport-jwt'
import { RP_MODELS } from '../src/relying-parties/models.ts'
import { createModel, type ShortTimes, type Verifier } from './cache-models.ts'
import type { JwksSource } from './jwks-source.ts'
import { RP_LAG } from './settings.ts'

/**
 * The relying parties of the drill. Each caches as documented; times are scaled so that a published
 * key may be unknown for RP_LAG: jose's cool-down of 30 s and cache of 10 minutes become 2 s and 40
 * s here.
 */
export interface RelyingParty extends Verifier {
  readonly name: string
  /** Name of the library or description of the model. */
  readonly about: string
  /** True if the bounds promise that the RP verifies every token. */
  readonly isCovered: boolean
  readonly algorithms: readonly string[]
  /**
   * `id`: the RP verifies only ID tokens of sign-ins, which have a nonce (refreshed ones do not).
   */
  readonly tokens: 'all' | 'id'
}

const LAG = RP_LAG * 1000
const ALL = ['RS256', 'ES256', 'Ed25519']
/** Libraries that know Ed25519 only by its older name EdDSA, or not at all. */
const COMMON = ['RS256', 'ES256']

export function createRelyingParties(source: JwksSource, issuer: string): readonly RelyingParty[] {
  const real = (
    name: string,
    about: string,
    create: (name: string) => Verifier,
    algorithms = COMMON,
  ): RelyingParty => ({
    ...create(name),
    ...{ name, about, algorithms, isCovered: true, tokens: 'all' },
  })
  const jose = (url: string): Verifier => {
    const keys = createRemoteJWKSet(new URL(url), { cacheMaxAge: 20 * LAG, cooldownDuration: LAG })
    return {
      verify: async (token) => {
        await jwtVerify(token, keys, { issuer })
      },
    }
  }
  return [
    real('jose', '40 s, unknown kid after 2 s', (name) => jose(source.url(name)), ALL),
    real(
      'jose behind a cache',
      'the same, by a shared HTTP cache',
      (name) => jose(source.url(name, 'cache')),
      ALL,
    ),
    real('jwks-rsa', 'each kid 40 s, 5 of them', (name) => viaJwksRsa(source.url(name)), ALL),
    real('passport-jwt', 'with jwks-rsa: each kid 40 s', (name) =>
      viaPassport(source.url(name), issuer),
    ),
    real('aws-jwt-verify', 'for ever, unknown kid after 2 s', (name) =>
      viaAws(source.url(name), issuer),
    ),
    real('get-jwks + fast-jwt', 'each kid 4 s, 4 s more on errors', (name) =>
      viaGetJwks(source.url(name), issuer),
    ),
    {
      ...real(
        'openid-client',
        'ID tokens; 10 s, unknown kid after 2 s',
        (name) => viaOpenidClient(source.url(name), issuer),
        ALL,
      ),
      tokens: 'id',
    },
    ...modelled(source),
  ]
}

interface ModelOptions extends ShortTimes {
  readonly through?: 'origin' | 'cache'
  readonly isCovered?: boolean
}

/** Relying parties of the table of models, with times that fit the drill's policy. */
function modelled(source: JwksSource): readonly RelyingParty[] {
  const like = (
    modelName: string,
    name: string,
    behaviour: string,
    { through = 'origin', isCovered = true, ...times }: ModelOptions = {},
  ): RelyingParty => {
    const model = RP_MODELS.find((each) => each.name === modelName)
    if (!model) throw new TypeError(`there is no model ${modelName}`)
    return {
      ...createModel(source.url(name, through), model, times),
      ...{ name, about: `${behaviour}; ${model.standsFor}`, isCovered },
      ...{ algorithms: ALL, tokens: 'all' },
    }
  }
  return [
    like('none', 'no cache', 'fetches for each token', { lifetime: 0 }),
    like('ttl-10m', 'fixed TTL', '2 s', { lifetime: LAG }),
    like('ttl-20m-timer', 'timer', 'every 2 s', { lifetime: LAG }),
    like('maxage', 'max-age', 'as the headers say'),
    like('maxage', 'max-age behind a cache', 'by a shared HTTP cache, Age ignored', {
      through: 'cache',
    }),
    like('ttl1h-kid5m', 'TTL and kid', '20 s, unknown kid after 2 s', {
      ...{ lifetime: 10 * LAG, coolDown: LAG },
    }),
    like('ttl5m-kid0', 'TTL and kid at once', '20 s, unknown kid at once', {
      lifetime: 10 * LAG,
    }),
    like('forever-kid0', 'until unknown kid', 'for ever, unknown kid at once'),
    like('perkid-over-forever', 'per kid', 'each 40 s, over a set for ever', {
      lifetime: 20 * LAG,
    }),
    like('lazy-16m', 'lazy', '1 s, then behind the next request', { lifetime: LAG / 2 }),
    like('flag-poll-60s', 'flag and poll', 'never in time for a new kid', {
      ...{ coolDown: LAG, isCovered: false },
    }),
  ]
}

function viaJwksRsa(jwksUri: string): Verifier {
  const keys = jwksRsa({ jwksUri, cache: true, cacheMaxAge: 20 * LAG })
  return {
    verify: async (token) => {
      const { alg = '', kid } = decodeProtectedHeader(token)
      const key = await keys.getSigningKey(kid)
      await jwtVerify(token, await importSPKI(key.getPublicKey(), alg))
    },
  }
}

function viaPassport(jwksUri: string, issuer: string): Verifier {
  const strategy = new Strategy(
    {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKeyProvider: jwksRsa.passportJwtSecret({
        ...{ jwksUri, cache: true, cacheMaxAge: 20 * LAG },
      }),
      issuer,
      algorithms: COMMON as ('RS256' | 'ES256')[],
    },
    (_payload: unknown, done: (error: unknown, user: unknown) => void) => done(null, {}),
  )
  return {
    verify: (token) =>
      new Promise((resolve, reject) => {
        // Like passport: a copy of the strategy for each request, with its outcomes.
        const attempt = Object.assign(Object.create(strategy), {
          success: () => resolve(),
          fail: (why: unknown) => reject(why instanceof Error ? why : new Error(String(why))),
          error: reject,
        })
        attempt.authenticate({ headers: { authorization: `Bearer ${token}` } })
      }),
  }
}

function viaAws(jwksUri: string, issuer: string): Verifier {
  const jwksCache = new SimpleJwksCache({
    // The library's own fetcher supports https only.
    fetcher: {
      fetch: async (uri) => {
        const answer = await fetch(uri)
        if (!answer.ok) throw new Error(`the JWKS answered ${answer.status}`)
        return answer.arrayBuffer()
      },
    },
    penaltyBox: new SimplePenaltyBox({ waitSeconds: RP_LAG }),
  })
  const verifier = JwtVerifier.create({ issuer, audience: null, jwksUri }, { jwksCache })
  return {
    verify: async (token) => {
      await verifier.verify(token)
    },
  }
}

function viaGetJwks(jwksUri: string, issuer: string): Verifier {
  const { origin, pathname } = new URL(jwksUri)
  const keys = getJwks({ ttl: 2 * LAG, jwksPath: pathname })
  const verify = createVerifier({
    // The overloads, for promises and for callbacks, leave the parameter's type open.
    key: async ({ header: { alg, kid } }: DecodedJwt) =>
      keys.getPublicKey({ alg, kid, domain: origin }),
    algorithms: COMMON as ('RS256' | 'ES256')[],
    allowedIss: issuer,
  })
  return {
    verify: async (token) => {
      await verify(token)
    },
  }
}

/**
 * Factor by which the age of openid-client's cache is multiplied, because its times cannot be set.
 */
const OPENID_CLIENT_SCALE = 30

function viaOpenidClient(jwksUri: string, issuer: string): Verifier {
  let kept: { readonly jwks: client.JWKS; readonly at: number } | undefined
  return {
    verify: async (token) => {
      const { aud, nonce } = decodeJwt(token)
      const { alg = '' } = decodeProtectedHeader(token)
      const metadata = { issuer, jwks_uri: jwksUri }
      const configuration = new client.Configuration(metadata, String(aud), {
        id_token_signed_response_alg: alg,
      })
      client.allowInsecureRequests(configuration)
      client.useIdTokenResponseType(configuration)
      const now = Date.now() / 1000
      const told = kept && now - (now - kept.at) * OPENID_CLIENT_SCALE
      if (kept && told) client.setJwksCache(configuration, { jwks: kept.jwks, uat: told })
      const callback = new URL('http://localhost/callback')
      callback.hash = new URLSearchParams({ id_token: token }).toString()
      try {
        await client.implicitAuthentication(configuration, callback, String(nonce))
      } finally {
        const after = client.getJwksCache(configuration)
        // A fetch time other than the one that was set means that the set was just fetched.
        if (after && after.uat !== told) kept = { jwks: after.jwks, at: Date.now() / 1000 }
      }
    },
  }
}
