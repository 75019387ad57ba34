import type { Violation } from '../../errors.ts'
import { verifiesOneOf } from '../jwks.ts'
import { KEY_ALGORITHMS, SECRET_ALGORITHMS } from '../properties.ts'
import { type ClientRule, type RuledClient, withoutEffect } from './rule.ts'

/** How a client proves itself: with a secret, with keys, or not at all. */

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

/** A secret is never shown. */
const MASK = '***'

/** Bytes of the hash of HS256. */
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
    const message = `it is missing, and the client proves itself with one (${method})`
    const fix =
      'set client_secret, or set token_endpoint_auth_method to none for an app that can keep no secret'
    return [{ path: name, value: null, rule: 'missing', message, fix }]
  }
  if (method !== 'client_secret_jwt' || secret.length >= ASSERTION_SECRET) return []
  const message =
    `it has ${secret.length} characters, and ${ASSERTION_SECRET} is the least for a secret that is ` +
    'itself the key of client_secret_jwt (RFC 7518, section 3.2)'
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
      const why = `the client proves itself with ${method}, and its keys serve private_key_jwt alone`
      const fix = `set token_endpoint_auth_method to private_key_jwt, or remove ${name}`
      return { ...withoutEffect(name, value, why), fix }
    })
  }
  if (given.length === 1) return []
  const message =
    given.length === 0
      ? 'it is missing, and private_key_jwt needs the public keys of the client'
      : 'it stands beside jwks; where both are given, nobody knows which counts'
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
    return [withoutEffect(name, algorithm, `the client signs nothing (${method})`)]
  }
  const message = `it is "${algorithm}", but ${method} has one of ${known.join(', ')}`
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
