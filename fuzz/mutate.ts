import type { Random } from './random.ts'
import { type FuzzRequest, jwt, PLANTED } from './requests.ts'

const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

/** Values with which parsers, engines and applications have failed. */
const VALUES: readonly string[] = [
  '',
  ' ',
  '0',
  '-1',
  '1e309',
  '9007199254740993',
  '99999999999999999999',
  'NaN',
  'true',
  'null',
  '[]',
  '{}',
  '""',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'web',
  'tv',
  'machine',
  'unknown',
  'none',
  'none login',
  'openid openid openid',
  'code id_token token',
  'fragment',
  'form_post',
  'form_post.jwt',
  'web_message',
  'x'.repeat(4096),
  'x'.repeat(4097),
  'x'.repeat(20_000),
  'ſK\u212a\u0130',
  'e\u0301\ud800',
  '\u0000',
  'a\u0000b',
  '\r\nSet-Cookie: a=b',
  '\u202e\ufeff\u2028',
  '😀'.repeat(500),
  '%',
  '%00%ff%zz',
  '../../etc/passwd',
  '//evil.example',
  '\\\\evil.example',
  'https://evil.example/?#',
  'javascript:alert(1)',
  'http://[::1',
  'http://localhost:9999/callback#x',
  'urn:ietf:params:oauth:request_uri:x',
  `' OR 1=1 --`,
  '<script>alert(1)</script>',
  '{{7*7}}<%= 1 %>',
  '[object Object]',
  deep(10),
  deep(90),
  deep(500),
  deep(5000),
  '['.repeat(5000),
  '{"userinfo":{"__proto__":{"essential":true}},"id_token":{"constructor":null}}',
  '{"userinfo":null,"id_token":[]}',
  '{"id_token":{"acr":{"values":"x"},"sub":{"value":{}},"auth_time":{"essential":1}}}',
  '{"id_token":{"sub":{"value":"\\ud800"}},"userinfo":{"\\u0000":null}}',
  `{"userinfo":{${Array.from({ length: 300 }, (_, i) => `"c${i}":null`).join()}}}`,
  '{"toString":1,"id_token":{"toString":null,"valueOf":{"essential":true}}}',
  'a.b',
  'a.b.c',
  '..',
  'a.b.c.d.e',
  jwt({ alg: 'none' }, {}),
  jwt({ alg: 'RS256', kid: '__proto__' }, { aud: 'web', sub: null }),
  jwt({ alg: 'ES256', kid: 1 }, { aud: ['web'], iss: [], exp: 'x' }),
  jwt({ alg: 'HS256', crit: ['x'], b64: false }, { aud: { a: 1 }, iat: -1 }),
  jwt({ alg: {}, typ: [] }, 'text'),
  jwt({ alg: 'RS256' }, null),
  jwt({ alg: 'RS256', jwk: { kty: 'oct', k: '' } }, []),
  jwt({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty: 'EC', crv: '__proto__' } }, { jti: {} }),
  jwt({ typ: 'dpop+jwt', alg: 'RS256', jwk: { kty: 'RSA', n: 'AQ', e: 'AQ' } }, { jti: 'x' }),
]

const NAMES: readonly string[] = [
  ...['client_id', 'redirect_uri', 'scope', 'state', 'claims', 'resource', 'audience', 'request'],
  ...['request_uri', 'registration', 'prompt', 'max_age', 'response_mode', 'response_type'],
  ...['id_token_hint', 'client_assertion', 'client_secret', 'user_code', 'xsrf', 'dpop_jkt'],
  ...['code', 'code_verifier', 'grant_type', 'token', 'access_token', 'logout_hint', 'acr_values'],
  ...['__proto__', 'constructor', 'prototype', 'toString', '', '[]', 'a[b]', 'a.b', '__proto__[x]'],
]

const TARGETS: readonly string[] = [
  ...['//', '/..', '/.', '/%2e%2e', '/%2f', '/%5c', '/%00', '/%', '/a%', '?', '#', '/;a=b'],
  ...['/auth/', '/auth/x', '/device/x', '/interaction/', '/interaction/%E0%A4%A', '/static/'],
  ...[
    '/static/%2e%2e%2fpackage.json',
    '/session/end/',
    '/token/',
    '*',
    'http://evil.example/token',
  ],
  ...['/.well-known/', '/admin', '/account', '/reg', '/credential', '/challenge', '/backchannel'],
]

const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']

const FIELDS: readonly (readonly [string, string])[] = [
  ['Content-Type', 'application/json'],
  ['Content-Type', 'multipart/form-data; boundary=x'],
  ['Content-Type', 'application/x-www-form-urlencoded; charset=utf-16'],
  ['Content-Type', 'application/x-www-form-urlencoded; charset=x'],
  ['Content-Type', ';;='],
  ['Content-Encoding', 'gzip'],
  ['Content-Length', '0'],
  ['Content-Length', '-1'],
  ['Content-Length', '100000'],
  ['Transfer-Encoding', 'chunked'],
  ['Transfer-Encoding', 'gzip, chunked'],
  ['Expect', '100-continue'],
  ['Expect', 'x'],
  ['Upgrade', 'websocket'],
  ['Connection', 'Upgrade'],
  ['Connection', 'keep-alive'],
  ['Host', 'evil.example'],
  ['Host', 'a b'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-Forwarded-Proto', 'https, http'],
  ['X-Forwarded-For', '::ffff:1.2.3.4:5, "x"'],
  ['Origin', 'null'],
  ['Origin', 'https://evil.example'],
  ['Origin', 'x'],
  ['Sec-Fetch-Site', 'cross-site'],
  ['Accept', 'text/html'],
  ['Accept', 'application/json'],
  ['Accept', ';q=x,,*/*;q=2'],
  ['Accept-Language', 'x-'.repeat(500)],
  ['Accept-Encoding', 'zstd;q=1'],
  ['Access-Control-Request-Method', 'POST'],
  ['Access-Control-Request-Headers', 'x, \u0080'],
  ['Authorization', 'Basic'],
  ['Authorization', 'Basic %%%'],
  ['Authorization', `Basic ${Buffer.from('web:%zz').toString('base64')}`],
  ['Authorization', `Basic ${Buffer.from(`__proto__:${PLANTED}`).toString('base64')}`],
  ['Authorization', `Basic ${Buffer.from('\u0000:\u0000').toString('base64')}`],
  ['Authorization', `Bearer ${PLANTED}`],
  ['Authorization', 'DPoP a.b.c'],
  ['Authorization', 'Digest x'],
  ['DPoP', 'a.b.c'],
  ['Cookie', 'keyturn=%E0%A4%A; keyturn.sig=x'],
  ['Cookie', `keyturn=${PLANTED}; keyturn.sig=${PLANTED}`],
  ['Cookie', `${'a=b; '.repeat(500)}`],
  ['If-None-Match', '"x, W/'],
  ['If-Modified-Since', 'x'],
  ['Range', 'bytes=0-0,5-1,-9'],
  ['X', 'x'.repeat(40_000)],
]

/** Makes one to four changes. */
export function mutate(request: FuzzRequest, random: Random): FuzzRequest {
  const mutated = structuredClone(request)
  for (let change = random.below(4); change >= 0; change--) random.pick(CHANGES)(mutated, random)
  return mutated
}

type Change = (request: FuzzRequest, random: Random) => void

const parametersOf = (request: FuzzRequest, random: Random) =>
  request.form && !random.oneIn(5) ? request.form : request.query

const CHANGES: readonly Change[] = [
  (request, random) => {
    const parameters = parametersOf(request, random)
    if (parameters.length > 0) random.pick(parameters)[1] = random.pick(VALUES)
  },
  (request, random) => {
    const parameters = parametersOf(request, random)
    if (parameters.length > 0) random.pick(parameters)[1] = random.pick(VALUES)
  },
  (request, random) => {
    const parameters = parametersOf(request, random)
    parameters.push([random.pick(NAMES), random.pick(VALUES)])
  },
  (request, random) => {
    const parameters = parametersOf(request, random)
    if (parameters.length > 0) parameters.push([...random.pick(parameters)])
  },
  (request, random) => {
    const parameters = parametersOf(request, random)
    if (parameters.length > 0) parameters.splice(random.below(parameters.length), 1)
  },
  (request, random) => {
    const parameters = parametersOf(request, random)
    if (parameters.length === 0) return
    const parameter = random.pick(parameters)
    const at = random.below(parameter[1].length + 1)
    const bit = String.fromCharCode(random.below(256))
    parameter[1] = parameter[1].slice(0, at) + bit + parameter[1].slice(at + random.below(3))
  },
  (request, random) => {
    request.headers.push([...random.pick(FIELDS)])
  },
  (request, random) => {
    const field = random.pick(request.headers)
    field[1] = random.pick(VALUES).replace(/[\r\n\0]/g, '')
  },
  (request, random) => {
    const [name, value] = random.pick(FIELDS)
    request.headers = request.headers.filter(([other]) => other !== name)
    request.headers.push([name, value])
  },
  (request, random) => {
    if (random.oneIn(2)) request.method = random.pick(METHODS)
  },
  (request, random) => {
    if (random.oneIn(3)) request.target = random.pick(TARGETS)
  },
  (request, random) => {
    if (random.oneIn(2)) request.target += random.pick(TARGETS)
  },
  (request, random) => {
    if (random.oneIn(4)) request.target = `https://evil.example${request.target}`
  },
  (request, random) => {
    // A form in a query and the other way round.
    if (!random.oneIn(3)) return
    const { query, form } = request
    request.query = form ?? []
    request.form = form ? undefined : query
    request.method = form ? 'GET' : 'POST'
  },
]

/** The bytes of a request, some of them broken. */
export function toBytes(request: FuzzRequest, random: Random): Buffer {
  const encode = (pairs: readonly (readonly [string, string])[]) =>
    pairs
      .map(([name, value]) => `${encodeText(name, random)}=${encodeText(value, random)}`)
      .join('&')
  const query = request.query.length > 0 ? `?${encode(request.query)}` : ''
  const content = request.form && encode(request.form)
  const headers = [...request.headers]
  const has = (name: string) => headers.some(([other]) => other.toLowerCase() === name)
  const isChunked = has('transfer-encoding')
  if (content !== undefined && !has('content-type')) {
    headers.push(['Content-Type', 'application/x-www-form-urlencoded'])
  }
  if (content !== undefined && !isChunked && !has('content-length')) {
    headers.push(['Content-Length', String(Buffer.byteLength(content))])
  }
  headers.push(['Connection', 'close'])
  const head = [
    `${request.method} ${request.target}${query} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, '')}`),
    '',
    '',
  ].join('\r\n')
  const body = content === undefined ? '' : isChunked ? chunked(content, random) : content
  const bytes = Buffer.from(head + body, random.oneIn(8) ? 'latin1' : 'utf8')
  return random.oneIn(12) ? breakBytes(bytes, random) : bytes
}

function encodeText(text: string, random: Random): string {
  if (random.oneIn(20)) return text.replace(/[\s\0&]/g, '')
  try {
    return encodeURIComponent(text)
  } catch {
    // A lone surrogate.
    return encodeURIComponent(text.toWellFormed())
  }
}

function chunked(content: string, random: Random): string {
  const size = random.oneIn(3) ? 'ZZ' : Buffer.byteLength(content).toString(16)
  return `${size}\r\n${content}\r\n${random.oneIn(4) ? '' : '0\r\n\r\n'}`
}

function breakBytes(bytes: Buffer, random: Random): Buffer {
  const broken = Buffer.from(bytes)
  if (random.oneIn(3)) return broken.subarray(0, random.below(broken.length))
  for (let flips = random.below(4); flips >= 0; flips--) {
    broken[random.below(broken.length)] = random.below(256)
  }
  return random.oneIn(4) ? Buffer.concat([broken, broken, broken]) : broken
}
