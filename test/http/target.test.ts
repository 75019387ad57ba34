import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { loggedPath } from '../../src/http/logged-path.ts'
import { hasSoundHost, normaliseTarget } from '../../src/http/target.ts'

describe('a request target', () => {
  const same: Readonly<Record<string, string>> = {
    '/': '/',
    '/auth?client_id=web&state=%E0%A4%A': '/auth?client_id=web&state=%E0%A4%A',
    '/.well-known/openid-configuration': '/.well-known/openid-configuration',
    '//evil.example/path': '//evil.example/path',
    '/a?b=//c/../d\\e|{}"': '/a?b=//c/../d\\e|{}"',
    'https://evil.example/jwks': '/jwks',
    'HTTP://EVIL.example:81/auth?a=b': '/auth?a=b',
    'http://[::1]:3000/jwks': '/jwks',
    'http://evil.example': '/',
    'http://evil.example?a=b': '/?a=b',
    'http://evil.example//jwks': '//jwks',
    '/%6Awks': '/jwks',
    '/%74%6f%6B%65%6E?a=%6A': '/token?a=%6A',
    '/a%20b%C3%A9': '/a%20b%C3%A9',
    '/%252e%252e/jwks': '/%252e%252e/jwks',
  }
  for (const [target, expected] of Object.entries(same)) {
    it(`${target} is read as ${expected}`, () => {
      assert.equal(normaliseTarget(target), expected)
    })
  }

  for (const target of [
    '',
    '*',
    'jwks',
    'evil.example:443',
    '@evil.example/jwks',
    'ftp://evil.example/jwks',
    'http:/jwks',
    'http:///jwks',
    'http://user:secret@evil.example/jwks',
    'http://evil.example\\@localhost/jwks',
    '/jwks#fragment',
    '/auth?a=b#fragment',
    '/../jwks',
    '/auth/./jwks',
    '/static/..',
    '/static/%2e%2E/jwks',
    'http://evil.example/%2e/jwks',
    '/static%2fpico.min.css',
    '/static%5Cpico.min.css',
    '/\\evil.example/jwks',
    '/jwks%00',
    '/jwks%0d%0aSet-Cookie:a=b',
    '/%zz',
    '/%4',
    '/jw\u212As',
    '/jwks\u00a0',
    '/a b',
  ]) {
    it(`${JSON.stringify(target)} is refused`, () => {
      assert.equal(normaliseTarget(target), undefined)
    })
  }

  it('never names another host, and two ways of reading it find the same path', () => {
    const part = fc.constantFrom(
      ...['/', '//', '\\', '.', '..', '%2e', '%2f', '%5c', '%00', '%', '?', '#', '@', ':', ' '],
      ...['http://', 'https://', 'evil.example', 'jwks', '[::1]', ':80', '\t', 'é', '{', '%6a'],
    )
    const target = fc.oneof(
      fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 20 }).map((text) => `/${text}`),
    )
    fc.assert(
      fc.property(target, (text) => {
        const normalised = normaliseTarget(text)
        if (normalised === undefined) return
        const url = new URL(`https://op.example${normalised}`)
        assert.equal(url.origin, 'https://op.example')
        assert.equal(url.pathname, normalised.split('?')[0])
        assert.equal(url.hash, '')
        assert.equal(normaliseTarget(normalised), normalised)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the Host header field', () => {
  it('may name any host, with a port or without, once', () => {
    for (const host of ['localhost:3000', 'evil.example', '[::1]:3000', '', '127.0.0.1']) {
      assert.equal(hasSoundHost(['Accept', '*/*', 'Host', host]), true, host)
    }
    assert.equal(hasSoundHost([]), true)
  })

  it('is refused if it is there twice, or cannot be a host', () => {
    assert.equal(hasSoundHost(['Host', 'a', 'HOST', 'a']), false)
    for (const host of ['a b', 'a/b', 'user@a', 'a, b', 'a#b', 'http://a', 'a:b']) {
      assert.equal(hasSoundHost(['Host', host]), false, host)
    }
  })
})

describe('the path of a request in the log', () => {
  it('has neither the identifier of a sign-in nor the query', () => {
    for (const [url, path] of [
      ['/op/interaction/7sEvd0K4kZZz?client_id=spa', '/op/interaction/:uid'],
      ['/auth/7sEvd0K4kZZz', '/auth/:uid'],
      ['/AUTH/7sEvd0K4kZZz/?x', '/AUTH/:uid'],
      ['/device/7sEvd0K4kZZz/', '/device/:uid'],
      ['/op/device/auth', '/op/device/auth'],
      ['/auth?state=x', '/auth'],
      ['/auth/realm/token?code=x', '/auth/realm/token'],
    ] as const) {
      assert.equal(loggedPath(url), path)
    }
  })
})
