import { createHash, randomBytes } from 'node:crypto'
import { PERSON, REDIRECT_URI, SECRET } from '../lab/server.ts'
import { createUserAgent, signIn } from '../lab/user-agent.ts'

/**
 * Valid tokens, codes and cookies, because mutations of them get further than random input. Each of
 * them is a secret.
 */
export interface Material {
  readonly cookies: string
  readonly code: string
  readonly verifier: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly idToken: string
  readonly requestUri: string
  readonly deviceCode: string
  readonly userCode: string
  /** Path and cookies of a sign-in that has begun. */
  readonly interaction: { readonly path: string; readonly cookies: string }
}

export const BASIC = `Basic ${Buffer.from(`web:${SECRET}`).toString('base64')}`

/** Signs in and collects one of each. */
export async function gatherMaterial(issuer: string): Promise<Material> {
  const verifier = randomBytes(32).toString('base64url')
  const parameters = {
    client_id: 'web',
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: 'openid profile email offline_access',
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
  const authorization = `${issuer}/auth?${new URLSearchParams(parameters)}`
  const post = async (path: string, fields: Record<string, string>) => {
    const headers = { authorization: BASIC }
    const body = new URLSearchParams(fields)
    const answer = await fetch(`${issuer}${path}`, { method: 'POST', headers, body })
    return (await answer.json()) as Record<string, string>
  }

  const agent = createUserAgent()
  const codeOf = async () => {
    const { callback } = await signIn(agent, authorization, PERSON)
    return callback.searchParams.get('code') ?? ''
  }
  const tokens = await post('/token', {
    grant_type: 'authorization_code',
    code: await codeOf(),
    redirect_uri: REDIRECT_URI,
    code_verifier: verifier,
  })
  const device = await fetch(`${issuer}/device/auth`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'tv', scope: 'openid' }),
  }).then(async (answer) => (await answer.json()) as Record<string, string>)
  const begun = createUserAgent()
  const { url } = await begun.open(authorization, issuer)
  return {
    cookies: cookiesOf(agent),
    code: await codeOf(),
    verifier,
    accessToken: tokens.access_token ?? '',
    refreshToken: tokens.refresh_token ?? '',
    idToken: tokens.id_token ?? '',
    requestUri: (await post('/request', parameters)).request_uri ?? '',
    deviceCode: device.device_code ?? '',
    userCode: device.user_code ?? '',
    interaction: { path: new URL(url).pathname, cookies: cookiesOf(begun) },
  }
}

function cookiesOf(agent: ReturnType<typeof createUserAgent>): string {
  return [...agent.cookies]
    .map(([key, { value }]) => `${key.slice(key.indexOf(' ') + 1)}=${value}`)
    .join('; ')
}
