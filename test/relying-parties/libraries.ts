import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mock } from 'node:test'
import OktaJwtVerifier from '@okta/jwt-verifier'
import { JwtVerifier } from 'aws-jwt-verify'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import { auth } from 'express-oauth2-jwt-bearer'
import { createVerifier, type DecodedJwt } from 'fast-jwt'
import getJwks from 'get-jwks'
import { Hono } from 'hono'
import { jwk } from 'hono/jwk'
import { createRemoteJWKSet, decodeProtectedHeader, importSPKI, jwtVerify } from 'jose'
import jwksRsa from 'jwks-rsa'
import * as client from 'openid-client'
import { Issuer } from 'openid-client-5'
import { ExtractJwt, Strategy } from 'passport-jwt'
import type { Jwks, Start, Subject } from './lab.ts'

/**
 * The libraries that npm offers to relying parties, as their documentation sets them up, each with all of
 * its defaults, against a JWKS on a socket. Hours go by on clocks that are set: they read the time from
 * `Date`, `performance`, `process.hrtime` and timers.
 */

const AUDIENCE = 'https://api.example'
const NONCE = 'a-nonce'
const START = Date.parse('2030-01-01T00:00:00Z')

/** What they verify is looked up by kid alone, so that one key serves for all of them. */
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const publicJwk = publicKey.export({ format: 'jwk' })

const signed = new Map<string, string>()

function tokenOf(kid: string, issuer: string): string {
  const known = signed.get(`${issuer} ${kid}`)
  if (known) return known
  const header = { alg: 'RS256', kid, typ: 'JWT' }
  const iat = START / 1000
  const claims = {
    iss: issuer,
    aud: AUDIENCE,
    sub: 'ada',
    nonce: NONCE,
    iat,
    exp: iat + 86_400 * 365,
  }
  const input = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const token = `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`
  signed.set(`${issuer} ${kid}`, token)
  return token
}

interface Site extends AsyncDisposable {
  readonly issuer: string
  readonly jwksUri: string
}

async function serve(source: Jwks): Promise<Site> {
  const server = createServer((_request, response) => {
    source.requests += 1
    const type = { 'content-type': 'application/jwk-set+json' }
    if (source.isDown) return response.writeHead(503, type).end('{}')
    const keys = [...source.shown].map((kid) => ({ ...publicJwk, kid, alg: 'RS256', use: 'sig' }))
    const headers = { ...type, 'cache-control': `public, max-age=${source.maxAge}` }
    return response.writeHead(200, headers).end(JSON.stringify({ keys }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Throws where it refuses the token. */
type Verify = (token: string) => Promise<unknown>

type Library = (site: Site) => Verify

/** Seconds by the clocks; not 0, which some libraries take for no time at all. */
let now = 1000

/**
 * Sets the clocks of this process, once and for good: timers of one measurement that live on in the
 * next would mix with its own.
 */
export function setClocks(): void {
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: START })
  mock.method(performance, 'now', () => now * 1000)
  mock.method(process, 'hrtime', () => [now, 0])
}

/** Measures a library: what `use` does runs on clocks that stand still between its steps. */
export async function measured<T>(library: Library, use: (start: Start) => Promise<T>): Promise<T> {
  await using opened = new AsyncDisposableStack()
  const begin = now
  return await use(async (source): Promise<Subject> => {
    const site = opened.use(await serve(source))
    const verify = library(site)
    return {
      verify: (kid, at) => {
        mock.timers.tick((begin + at - now) * 1000)
        now = begin + at
        return verify(tokenOf(kid, site.issuer)).then(
          () => true,
          () => false,
        )
      },
    }
  })
}

function viaJwksRsa(options: object = {}): Library {
  return ({ jwksUri }) => {
    const keys = jwksRsa({ jwksUri, cache: true, ...options })
    return async (token) => {
      const { alg = '', kid } = decodeProtectedHeader(token)
      const key = await keys.getSigningKey(kid)
      return jwtVerify(token, await importSPKI(key.getPublicKey(), alg))
    }
  }
}

export const LIBRARIES: Readonly<Record<string, Library>> = {
  jose: ({ issuer, jwksUri }) => {
    const keys = createRemoteJWKSet(new URL(jwksUri))
    return (token) => jwtVerify(token, keys, { issuer, audience: AUDIENCE })
  },
  'openid-client': ({ issuer, jwksUri }) => {
    const metadata = { issuer, jwks_uri: jwksUri }
    const configuration = new client.Configuration(metadata, AUDIENCE, 'secret')
    client.allowInsecureRequests(configuration)
    client.useIdTokenResponseType(configuration)
    return (token) => {
      const callback = new URL('http://localhost/callback')
      callback.hash = new URLSearchParams({ id_token: token }).toString()
      return client.implicitAuthentication(configuration, callback, NONCE)
    }
  },
  'openid-client 5': ({ issuer, jwksUri }) => {
    const { Client } = new Issuer({ issuer, jwks_uri: jwksUri })
    const rp = new Client({ client_id: AUDIENCE, response_types: ['id_token'] })
    const checks = { response_type: 'id_token', nonce: NONCE }
    return (token) => rp.callback(undefined, { id_token: token }, checks)
  },
  'express-oauth2-jwt-bearer': ({ issuer, jwksUri }) => {
    const handler = auth({ issuer, jwksUri, audience: AUDIENCE })
    return (token) =>
      new Promise<void>((resolve, reject) => {
        // What it reads of a request of Express.
        const request = {
          ...{ headers: { authorization: `Bearer ${token}` }, query: {}, body: {} },
          ...{ method: 'GET', protocol: 'https', originalUrl: '/', url: '/' },
          ...{ get: () => 'api.example', is: () => false },
        }
        handler(request as never, {} as never, (error: unknown) =>
          error ? reject(error) : resolve(),
        )
      })
  },
  'jwks-rsa': viaJwksRsa(),
  'jwks-rsa with rateLimit': viaJwksRsa({ rateLimit: true }),
  'passport-jwt': ({ issuer, jwksUri }) => {
    const strategy = new Strategy(
      {
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
        secretOrKeyProvider: jwksRsa.passportJwtSecret({ jwksUri, cache: true }),
        ...{ issuer, audience: AUDIENCE, algorithms: ['RS256'] },
      },
      (_payload: unknown, done: (error: unknown, user: unknown) => void) => done(null, {}),
    )
    return (token) =>
      new Promise<void>((resolve, reject) => {
        // What passport does: a copy of the strategy for each request, with its outcomes.
        const attempt = Object.assign(Object.create(strategy), {
          success: () => resolve(),
          fail: (why: unknown) => reject(why),
          error: reject,
        })
        attempt.authenticate({ headers: { authorization: `Bearer ${token}` } })
      })
  },
  'get-jwks': ({ issuer }) => {
    const keys = getJwks({ jwksPath: '/jwks' })
    const verify = createVerifier({
      // Promises or callbacks: its overloads leave the parameter's type open.
      key: async ({ header: { alg, kid } }: DecodedJwt) =>
        keys.getPublicKey({ alg, kid, domain: issuer }),
      ...{ algorithms: ['RS256'], allowedIss: issuer, allowedAud: AUDIENCE },
    })
    return async (token) => verify(token)
  },
  'aws-jwt-verify': ({ issuer, jwksUri }) => {
    const jwksCache = new SimpleJwksCache({
      // Its own fetcher speaks https only.
      fetcher: {
        fetch: async (uri) => {
          const answer = await fetch(uri)
          if (!answer.ok) throw new Error(`the JWKS answered ${answer.status}`)
          return answer.arrayBuffer()
        },
      },
    })
    const verifier = JwtVerifier.create({ issuer, audience: AUDIENCE, jwksUri }, { jwksCache })
    return (token) => verifier.verify(token)
  },
  '@okta/jwt-verifier': ({ issuer, jwksUri }) => {
    // It says what it is told, at each start.
    mock.method(console, 'warn', () => {}, { times: 1 })
    const verifier = new OktaJwtVerifier({ issuer, jwksUri, testing: { disableHttpsCheck: true } })
    return (token) => verifier.verifyAccessToken(token, AUDIENCE)
  },
  hono: ({ jwksUri }) => {
    const app = new Hono()
    app.use('*', jwk({ jwks_uri: jwksUri, alg: ['RS256'] }))
    app.onError((error, context) => context.text(error.message, 401))
    app.get('/', (context) => context.text('yes'))
    return async (token) => {
      const answer = await app.request('/', { headers: { authorization: `Bearer ${token}` } })
      if (answer.status !== 200) throw new Error(`${answer.status}`)
    }
  },
}
