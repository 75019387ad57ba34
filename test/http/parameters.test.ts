import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findParameterProblem } from '../../src/http/parameters.ts'

const LIMITS = { parameterLength: 4096, jwtLength: 16_384, parameters: 100 }
const check = (text: string, mayRepeat = false) => findParameterProblem(text, LIMITS, mayRepeat)

const jwt = (payload: string) =>
  [JSON.stringify({ alg: 'ES256' }), payload, 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')

describe('parameters', () => {
  it('pass as clients send them', () => {
    const claims = { userinfo: { email: { essential: true, values: ['a', 'b'] } } }
    for (const text of [
      '',
      'a',
      '&&a=&',
      'client_id=web&scope=openid+profile&state=%zz&nonce=%C3%bc&ui_locales=\xc3\xbc',
      `claims=${encodeURIComponent(JSON.stringify(claims, null, 2))}`,
      'resource=https://a.example&resource=https://b.example&audience=a&audience=b',
      `state=${'x'.repeat(4096)}`,
      `state=${'%41'.repeat(4096)}`,
      `state=${'%C3%A9'.repeat(4096)}`,
      `id_token_hint=${jwt(JSON.stringify({ sub: 'x'.repeat(11_000) }))}`,
      `request=${'x'.repeat(16_384)}`,
      `state=${'{'.repeat(900)}`,
      Array.from({ length: 100 }, (_, index) => `p${index}=1`).join('&'),
    ]) {
      assert.equal(check(text), undefined, text.slice(0, 60))
    }
  })

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['a long one', `state=${'x'.repeat(4097)}`, /state is longer than 4096/],
    ['a long one, encoded', `nonce=${'%41'.repeat(4097)}`, /nonce is longer than 4096/],
    ['a long one under an encoded name', `%73tate=${'x'.repeat(4097)}`, /state is longer/],
    ['a long unknown one', `x y=${'x'.repeat(4097)}`, /^a parameter is longer/],
    ['a long name', `${'x'.repeat(4097)}=1`, /name is longer/],
    ['a JWT that is too long', `request=${'x'.repeat(16_385)}`, /jwtLength/],
    ['a NUL', 'state=a%00b', /control characters/],
    ['a bare NUL', 'state=a\0b', /control characters/],
    ['an escape', 'state=%1B[31m', /control characters/],
    ['bytes that are not UTF-8', 'nonce=%ff', /must be UTF-8/],
    ['an incomplete character', 'state=%E0%A4%A', /must be UTF-8/],
    ['bare bytes that are not UTF-8', 'username=J\xfcrgen', /must be UTF-8/],
    ['one twice', 'client_id=a&client_id=b', /client_id must not be there twice/],
    ['one twice, encoded', 'user_code=a&user%5Fcode=b', /user_code must not be there twice/],
    ['too many', 'a&'.repeat(101), /more than 100/],
    ['the same resource too often', 'resource=a&'.repeat(101), /more than 100/],
    [
      'a lot together',
      Array.from({ length: 5 }, (_, index) => `p${index}=${'x'.repeat(4000)}`).join('&'),
      /together longer than 16384/,
    ],
    ['claims nested deeply', `claims=${'{"a":'.repeat(600)}1${'}'.repeat(600)}`, /nested too/],
    ['lists nested deeply', `x=${'%5B'.repeat(2000)}`, /nested too/],
    ['a JWT nested deeply', `assertion=${jwt('['.repeat(3000))}`, /assertion is nested too/],
  ]
  for (const [name, text, problem] of refused) {
    it(`are refused with ${name}`, () => {
      assert.match(check(text) ?? 'none', problem)
    })
  }

  it('may be there twice where somebody else tells', () => {
    assert.equal(check('client_id=a&client_id=b', true), undefined)
  })

  it('are never quoted in the answer', () => {
    const problem = check(`<script>=1&<script>=${'x'.repeat(5000)}`) ?? ''
    assert.doesNotMatch(problem, /script|xxx/)
  })
})
