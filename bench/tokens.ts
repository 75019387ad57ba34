import { createBrowser, exchange, requestTokens, type Tokens, tokenRequest } from './browser.ts'
import type { Comparison } from './compare.ts'
import { type Connection, requestBytes } from './connection.ts'
import type { Measure } from './figure.ts'
import type { Prepare } from './load.ts'
import { AUTHORIZATION, RESOURCES } from './setting.ts'

/**
 * Compares the token endpoint and similar ones with plain oidc-provider and its in-memory adapter
 * (`servers/plain.ts`). Keyturn stores in SQLite what the other server keeps in memory.
 */

export const clientCredentialsRs256: Comparison = {
  other: 'plain',
  name: 'client credentials, RS256 JWT',
  note: 'one signed token per request, nothing stored',
  prepare: clientCredentials({ resource: RESOURCES.RS256 }),
  aim: { bound: 'least', value: 1 },
}

export const clientCredentialsEs256: Comparison = {
  other: 'plain',
  name: 'client credentials, ES256 JWT',
  note: 'one signed token per request, nothing stored',
  prepare: clientCredentials({ resource: RESOURCES.ES256 }),
  aim: { bound: 'least', value: 1 },
}

export const clientCredentialsOpaque: Comparison = {
  other: 'plain',
  name: 'client credentials, opaque',
  note: 'one stored token per request',
  prepare: clientCredentials({}),
  aim: { bound: 'least', value: 0.7 },
}

/** Introspection; each connection asks about its own token. */
export const introspection: Comparison = {
  other: 'plain',
  name: 'introspection',
  note: 'of an opaque token, by the client that has it',
  prepare: async (connection) => {
    const { access_token: token } = await requestTokens(
      connection,
      tokenRequest({ grant_type: 'client_credentials' }),
    )
    const bytes = requestBytes('POST', '/token/introspection', {
      form: { token },
      headers: { authorization: AUTHORIZATION },
    })
    return async () => {
      const { status, body } = await connection.send(bytes)
      if (status !== 200 || !body.includes('"active":true')) {
        throw new Error(`introspection answered ${status} ${body}`)
      }
    }
  },
  aim: { bound: 'least', value: 0.7 },
}

/** Refresh; each connection has its own grant and always sends the newest refresh token. */
export const refresh: Comparison = {
  other: 'plain',
  name: 'refresh with rotation',
  note: 'new access token, ID token (RS256) and refresh token; the old one consumed',
  prepare: async (connection) => {
    let { refresh_token: token } = await signIn(connection, {
      scope: 'openid offline_access',
      prompt: 'consent',
    })
    return async () => {
      if (token === undefined) throw new Error('there was no refresh token')
      const bytes = tokenRequest({ grant_type: 'refresh_token', refresh_token: token })
      const { refresh_token: next } = await requestTokens(connection, bytes)
      if (next === token) throw new Error('the refresh token was not rotated')
      token = next
    }
  },
  aim: { bound: 'least', value: 0.7 },
}

const SCOPE = { scope: 'openid profile' }

/** Sign-in with existing session and consent: authorization request, code, tokens. */
export const signInWithSession: Comparison = {
  other: 'plain',
  name: 'sign-in with a session',
  note: 'authorization request -> code -> access token (opaque), ID token (RS256)',
  prepare: async (connection) => {
    const browser = createBrowser(connection)
    await browser.authorize(SCOPE)
    return async () => {
      await exchange(connection, await browser.authorize(SCOPE))
    }
  },
  aim: { bound: 'least', value: 0.7 },
}

/**
 * Sign-in in a new browser each time: authorization request, sign-in page, its form, back to the
 * authorization endpoint, consent remembered from before, code, tokens. Both sides check the
 * password with Argon2id, at the lowest cost that the configuration takes. The check would hide
 * everything else, but it runs on a thread of its own, and only the processor time of the answering
 * thread is compared. If the check were skipped on one side only, the other side would still pay
 * for the caches that Argon2 empties. The check itself is timed by `passwordCheck`.
 */
export const signInComplete: Comparison = {
  other: 'plain',
  name: 'complete sign-in',
  note: 'request -> sign-in page -> form -> code -> tokens; without the password check',
  by: 'main-thread',
  prepare: async (connection) => {
    await createBrowser(connection).authorize(SCOPE)
    return async () => {
      await signIn(connection, SCOPE)
    }
  },
  aim: { bound: 'least', value: 0.7 },
}

/** Times the check of a password, which `signInComplete` leaves out. */
export const passwordCheck: Measure = async (bench) => {
  bench.say('password check ...')
  const child = await bench.server('keyturn')
  const times = await child.call<{ cheapest: number; standard: number }>('passwords')
  const figure = { unit: 'ms', name: 'password check' } as const
  const told = (value: number) => ({ keyturn: `${value.toFixed(1)} ms`, value })
  return [
    { ...figure, ...told(times.standard), note: 'Argon2id with the default parameters, alone' },
    { ...figure, ...told(times.cheapest), note: 'Argon2id, the cheapest allowed, alone' },
  ]
}

export function clientCredentials(form: Readonly<Record<string, string>>): Prepare {
  const bytes = tokenRequest({ grant_type: 'client_credentials', ...form })
  return async (connection) => async () => {
    await requestTokens(connection, bytes)
  }
}

async function signIn(
  connection: Connection,
  parameters: Readonly<Record<string, string>>,
): Promise<Tokens> {
  return exchange(connection, await createBrowser(connection).authorize(parameters))
}
