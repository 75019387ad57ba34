import { PERSON, REDIRECT_URI, SECRET } from '../lab/server.ts'
import { BASIC, type Material } from './material.ts'

/** A request before it becomes bytes, so that each part can be mutated. */
export interface FuzzRequest {
  method: string
  target: string
  headers: [string, string][]
  query: [string, string][]
  /** Form in the content; undefined without content. */
  form: [string, string][] | undefined
}

/** A text that stands in many requests and must not be in the log. */
export const PLANTED = 'pl4nted-s3cret-0f-the-fuzzer'

const GRANT = 'urn:ietf:params:oauth:grant-type'

/** Every endpoint, as its clients use it. */
export function soundRequests(m: Material): readonly FuzzRequest[] {
  const authorization = authorizationOf(m)
  const basic = { Authorization: BASIC, DPoP: dpop() }
  const person = { Cookie: m.cookies, Accept: 'text/html' }
  const begun = { Cookie: m.interaction.cookies, Accept: 'text/html' }
  return [
    get('/'),
    get('/jwks'),
    get('/.well-known/openid-configuration', {}, { 'If-None-Match': '"x", W/"y"' }),
    get('/.well-known/oauth-authorization-server'),
    get('/static/pico.min.css', { v: 'x' }),
    get('/auth', authorization, person),
    get('/auth', authorization, { Accept: 'text/html' }),
    get('/auth', { client_id: 'web', request_uri: m.requestUri }, person),
    get('/auth', { ...authorization, prompt: 'none' }, person),
    get(`/auth/${'x'.repeat(43)}`, {}, begun),
    get(m.interaction.path.replace('/interaction', '/auth'), {}, begun),
    post('/request', authorization, basic),
    post(
      '/token',
      {
        grant_type: 'authorization_code',
        code: m.code,
        redirect_uri: REDIRECT_URI,
        code_verifier: m.verifier,
      },
      basic,
    ),
    post('/token', { grant_type: 'refresh_token', refresh_token: m.refreshToken }, basic),
    post('/token', {
      grant_type: 'client_credentials',
      client_id: 'machine',
      client_secret: SECRET,
      scope: 'read',
      resource: 'https://api.example',
    }),
    post('/token', {
      grant_type: `${GRANT}:device_code`,
      client_id: 'tv',
      device_code: m.deviceCode,
    }),
    post('/token', {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt({ alg: 'RS256' }, { iss: 'machine', sub: 'machine', aud: 'x' }),
    }),
    get('/userinfo', {}, { Authorization: `Bearer ${m.accessToken}` }),
    post('/userinfo', { access_token: m.accessToken }),
    get('/userinfo', {}, { Authorization: `DPoP ${m.accessToken}`, DPoP: dpop() }),
    post('/token/introspection', { token: m.accessToken, token_type_hint: 'access_token' }, basic),
    post('/token/introspection', { token: m.idToken }, basic),
    post('/token/revocation', { token: PLANTED, token_type_hint: 'refresh_token' }, basic),
    post('/device/auth', { client_id: 'tv', scope: 'openid', claims: authorization.claims }),
    get('/device', { user_code: m.userCode }, person),
    post('/device', { xsrf: PLANTED, user_code: m.userCode, confirm: 'yes' }, person),
    get(`/device/${'x'.repeat(43)}`, {}, begun),
    get('/session/end', { id_token_hint: m.idToken, state: PLANTED, client_id: 'web' }, person),
    get('/session/end', { post_logout_redirect_uri: 'http://localhost:9999/', client_id: 'web' }),
    get('/session/end/success', { client_id: 'web' }),
    post('/session/end/confirm', { xsrf: PLANTED, logout: 'yes' }),
    get(m.interaction.path, {}, begun),
    post(
      m.interaction.path,
      { username: 'ada', password: PLANTED, action: 'choose-password' },
      begun,
    ),
    post(m.interaction.path, { repeated: PERSON.password, action: 'allow' }, begun),
  ]
}

function get(target: string, query: Record<string, string> = {}, headers = {}): FuzzRequest {
  return request('GET', target, { query, headers })
}

function post(target: string, form: Record<string, string>, headers = {}): FuzzRequest {
  return request('POST', target, { form, headers })
}

/** An authorization request with every parameter. */
function authorizationOf({ idToken }: Material) {
  return {
    client_id: 'web',
    response_type: 'code',
    scope: 'openid profile email',
    redirect_uri: REDIRECT_URI,
    state: PLANTED,
    nonce: PLANTED,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    login_hint: 'ada',
    max_age: '60',
    acr_values: 'a b',
    claims: '{"userinfo":{"email":{"essential":true}},"id_token":{"name":null}}',
    resource: 'https://api.example',
    ui_locales: 'en',
    prompt: 'login',
    response_mode: 'query',
    display: 'page',
    id_token_hint: idToken,
  }
}

function request(
  method: string,
  target: string,
  more: {
    readonly query?: Readonly<Record<string, string>>
    readonly form?: Readonly<Record<string, string>>
    readonly headers?: Readonly<Record<string, string>>
  },
): FuzzRequest {
  return {
    method,
    target,
    headers: Object.entries({ Host: 'localhost', 'X-Planted': PLANTED, ...more.headers }),
    query: Object.entries(more.query ?? {}),
    form: more.form && Object.entries(more.form),
  }
}

/** Text in the shape of a JWT with an invalid signature. */
export function jwt(header: object, payload: unknown): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part(header)}.${part(payload)}.${Buffer.from(PLANTED).toString('base64url')}`
}

function dpop(): string {
  const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }
  return jwt({ typ: 'dpop+jwt', alg: 'ES256', jwk }, { htm: 'POST', htu: 'x', jti: PLANTED })
}
