import {
  type Answer,
  type Connection,
  headerValues,
  type RequestOptions,
  requestBytes,
} from './connection.ts'
import { AUTHORIZATION, CLIENT, CODE_CHALLENGE, CODE_VERIFIER, PERSON } from './setting.ts'

/** A minimal browser for sign-ins: cookies with paths, redirects, forms. */
export interface Browser {
  /** Goes to the authorization endpoint and through all pages it leads to. @returns the code */
  authorize(parameters: Readonly<Record<string, string>>): Promise<string>
}

export interface Tokens {
  readonly access_token: string
  readonly id_token?: string
  readonly refresh_token?: string
}

/** More than any sign-in has. */
const STEPS = 12

interface Cookie {
  readonly value: string
  readonly path: string
}

export function createBrowser(connection: Connection): Browser {
  const cookies = new Map<string, Cookie>()

  async function request(method: 'GET' | 'POST', path: string, options: RequestOptions = {}) {
    const cookie = cookieHeader(cookies, path)
    // The header that a browser sends with forms of the server's own pages.
    const own = method === 'POST' ? { 'sec-fetch-site': 'same-origin' } : {}
    const headers = cookie ? { cookie, ...own } : own
    const answer = await connection.send(requestBytes(method, path, { ...options, headers }))
    keepCookies(cookies, answer)
    return answer
  }

  return {
    authorize: async (parameters) => {
      const query = new URLSearchParams({
        client_id: CLIENT.client_id,
        response_type: 'code',
        redirect_uri: callback,
        state: 'benchmark',
        nonce: 'benchmark',
        code_challenge: CODE_CHALLENGE,
        code_challenge_method: 'S256',
        ...parameters,
      })
      let path = `/auth?${query}`
      let answer = await request('GET', path)
      for (let step = 0; step < STEPS; step += 1) {
        if (answer.status === 200) {
          answer = await request('POST', path, { form: fillForm(answer) })
          continue
        }
        const location = headerValues(answer, 'location')[0]
        if (location === undefined) break
        if (location.startsWith(callback)) return codeIn(location)
        const next = URL.parse(location, 'http://127.0.0.1')
        path = `${next?.pathname}${next?.search}`
        answer = await request('GET', path)
      }
      throw new Error(`the sign-in ended at ${path}: ${answer.status} ${answer.body}`)
    },
  }
}

/** Redeems an authorization code. */
export function exchange(connection: Connection, code: string): Promise<Tokens> {
  return requestTokens(
    connection,
    tokenRequest({
      grant_type: 'authorization_code',
      code,
      redirect_uri: callback,
      code_verifier: CODE_VERIFIER,
    }),
  )
}

/** Bytes of a request to the token endpoint. */
export function tokenRequest(form: Readonly<Record<string, string>>): string {
  return requestBytes('POST', '/token', { form, headers: { authorization: AUTHORIZATION } })
}

/** @throws if the answer is not a success */
export async function requestTokens(connection: Connection, bytes: string): Promise<Tokens> {
  const { status, body } = await connection.send(bytes)
  if (status !== 200) throw new Error(`the token endpoint answered ${status} ${body}`)
  return JSON.parse(body.toString())
}

const [callback = ''] = CLIENT.redirect_uris

function codeIn(location: string): string {
  const code = new URL(location).searchParams.get('code')
  if (code === null) throw new Error(`no code in ${location}`)
  return code
}

/** Presses the first button of a page, with user name and password where it asks for them. */
function fillForm({ body }: Answer): Readonly<Record<string, string>> {
  const action = /name="action" value="([^"]+)"/.exec(body.toString())?.[1]
  if (action === undefined) throw new Error(`no form in the page: ${body}`)
  return action === 'sign-in' ? { ...PERSON, action } : { action }
}

function cookieHeader(cookies: ReadonlyMap<string, Cookie>, path: string): string {
  return [...cookies]
    .filter(([, cookie]) => path.startsWith(cookie.path))
    .map(([name, { value }]) => `${name}=${value}`)
    .join('; ')
}

function keepCookies(cookies: Map<string, Cookie>, answer: Answer): void {
  for (const line of headerValues(answer, 'set-cookie')) {
    const [pair = '', ...attributes] = line.split('; ')
    const [name = '', value = ''] = pair.split('=', 2)
    const path = attributes.find((a) => a.toLowerCase().startsWith('path='))?.slice(5) ?? '/'
    if (value === '') cookies.delete(name)
    else cookies.set(name, { value, path })
  }
}
