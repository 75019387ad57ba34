import type { Violation } from '../../errors.ts'
import { verifiesOneOf } from '../jwks.ts'
import { KEY_ALGORITHMS, SECRET_ALGORITHMS } from '../properties.ts'
import { type ClientRule, type RuledClient, withoutEffect } from './rule.ts'

/** How a client authenticates: with a secret, with keys, or not at all. */

export const AUTHENTICATION_RULES: readonly ClientRule[] = [
  { needs: ['token_endpoint_auth_method', 'client_secret'], check: secretRule },
  { needs: ['token_endpoint_auth_method', 'client_secret_expires_at'], check: secretEndRule },
  { needs: ['token_endpoint_auth_method', 'jwks', 'jwks_uri'], check: keysRule },
  {
    needs: ['token_endpoint_auth_method', 'token_endpoint_auth_signing_alg'],
    check: assertionRule,
  },
  {
    needs: ['jwks', 'token_endpoint_auth_method', 'token_endpoint_auth_signing_alg'],
    check: usableKeysRule,
  },
]

/** Stands for a secret, which is never shown. */
const MASK = '***'

/** Fewest characters of a secret for HS256, as many as its hash has bytes. */
const ASSERTION_SECRET = 32

function secretRule({ method, client_secret: secret }: RuledClient): readonly Violation[] {
  const name = 'client_secret'
  if (!method.startsWith('client_secret_')) {
    if (secret === undefined) return []
    return [
      withoutEffect(name, MASK, `a client with token_endpoint_auth_method ${method} has none`),
    ]
  }
  if (secret === undefined) {
    const message = `it is missing, but token_endpoint_auth_method is ${method}`
    const fix =
      'set client_secret, or set token_endpoint_auth_method to none for an app that cannot keep a secret'
    return [{ path: name, value: null, rule: 'missing', message, fix }]
  }
  if (method !== 'client_secret_jwt' || secret.length >= ASSERTION_SECRET) return []
  const message =
    `it has ${secret.length} characters, but client_secret_jwt needs at least ${ASSERTION_SECRET}, ` +
    'because the secret is the key of HS256 (RFC 7518, section 3.2)'
  return [
    { path: name, value: MASK, rule: 'range', message, fix: `use ${ASSERTION_SECRET} or more` },
  ]
}

function secretEndRule({
  method,
  client_secret_expires_at: end,
}: RuledClient): readonly Violation[] {
  if (end === undefined || method.startsWith('client_secret_')) return []
  return [withoutEffect('client_secret_expires_at', end, 'the client has no secret')]
}

function keysRule({ method, jwks, jwks_uri: uri }: RuledClient): readonly Violation[] {
  const given = [
    ...(jwks === undefined ? [] : [['jwks', jwks] as const]),
    ...(uri === undefined ? [] : [['jwks_uri', uri] as const]),
  ]
  if (method !== 'private_key_jwt') {
    return given.map(([name, value]) => {
      const why = `token_endpoint_auth_method is ${method}, and only private_key_jwt uses keys`
      const fix = `set token_endpoint_auth_method to private_key_jwt, or remove ${name}`
      return { ...withoutEffect(name, value, why), fix }
    })
  }
  if (given.length === 1) return []
  const message =
    given.length === 0
      ? 'it is missing, but private_key_jwt needs the public keys of the client'
      : 'both jwks and jwks_uri are set, but only one may be'
  const fix = given.length === 0 ? 'set jwks_uri or jwks' : 'remove jwks or jwks_uri'
  return [{ path: 'jwks_uri', value: uri ?? null, rule: 'keys', message, fix }]
}

function assertionRule(client: RuledClient): readonly Violation[] {
  const name = 'token_endpoint_auth_signing_alg'
  const { method, [name]: algorithm } = client
  if (algorithm === undefined) return []
  const known = assertionAlgorithms(method)
  if (known.includes(algorithm)) return []
  if (known.length === 0) {
    return [withoutEffect(name, algorithm, `a client with ${method} signs no assertions`)]
  }
  const message = `it is "${algorithm}", but ${method} needs one of ${known.join(', ')}`
  const fix = `set ${name} to one of ${known.join(', ')}, or remove it`
  return [{ path: name, value: algorithm, rule: 'choice', message, fix }]
}

function assertionAlgorithms(method: string): readonly string[] {
  if (method === 'private_key_jwt') return KEY_ALGORITHMS
  return method === 'client_secret_jwt' ? SECRET_ALGORITHMS : []
}

function usableKeysRule(client: RuledClient): readonly Violation[] {
  const { method, jwks, token_endpoint_auth_signing_alg: algorithm } = client
  if (method !== 'private_key_jwt' || jwks === undefined) return []
  const algorithms = algorithm === undefined ? KEY_ALGORITHMS : [algorithm]
  if (jwks.keys.some((key) => verifiesOneOf(key, algorithms))) return []
  const message = `none of its keys verifies ${algorithms.join(', ')}`
  const fix = `add a public key for ${algorithms.join(' or ')}`
  return [{ path: 'jwks', value: jwks, rule: 'keys', message, fix }]
}
