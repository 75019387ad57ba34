import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Claims,
  changeClaims,
  claimNames,
  claimProblem,
  claimsAdvice,
  claimsProblems,
  readClaim,
  unknownClaim,
} from '../../src/accounts/claims.ts'

/** Claims of OpenID Connect Core 1.0, section 5.1, without those that Keyturn makes. */
const STANDARD = [
  ...['name', 'given_name', 'family_name', 'middle_name', 'nickname', 'profile', 'picture'],
  ...['website', 'email', 'email_verified', 'gender', 'birthdate', 'zoneinfo', 'locale'],
  ...['phone_number', 'phone_number_verified', 'address', 'updated_at'],
]

describe('a claim', () => {
  const right: Readonly<Record<string, readonly unknown[]>> = {
    name: ['Ada Lovelace', '山田太郎', 'Zoë 👩‍👩‍👧'],
    picture: ['https://example.com/ada.png'],
    website: ['http://example.com'],
    email: ['ada@example.com', 'josé@exämple.fr', 'root@localhost'],
    email_verified: [true, false],
    birthdate: ['1815-12-10', '0000-02-29', '2024-02-29', '1815'],
    zoneinfo: ['Europe/Paris', 'America/Argentina/Buenos_Aires', 'UTC'],
    locale: ['en', 'en-US', 'zh-Hant-TW', 'de-CH-1996'],
    phone_number: ['+442079460000', '+1 (604) 555-1234;ext=5678', '110'],
    address: [
      { country: 'UK' },
      { formatted: '12 St James’s Square\nLondon', street_address: 'a\r\nb', postal_code: 'SW1Y' },
    ],
    updated_at: [0, 1_767_225_600],
  }
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    name: ['', 7, true, {}, ['Ada'], ' Ada', 'Ada\u202e', 'a'.repeat(256)],
    picture: [
      'ada.png',
      'javascript:alert(1)',
      'data:image/png;base64,AA==',
      'https://EXAMPLE.com/',
    ],
    email: [
      'ada',
      'ada@',
      '@example.com',
      'a b@example.com',
      'a@b@c',
      '<a@b.example>',
      'a@b,c',
      `${'a'.repeat(320)}@b`,
    ],
    email_verified: ['true', 1, 0, 'yes'],
    birthdate: ['10.12.1815', '1815-02-30', '0000', '1815-13-01', '15-12-10', '1815-12-10T00:00'],
    zoneinfo: ['Paris', '+01:00', 'europe/paris', 'Europe/Atlantis', ''],
    locale: ['english please', 'en_US', '', 'x'],
    phone_number: ['', 442079460000, '+44\u200b20'],
    address: ['London', null, [], {}, { city: 'London' }, { locality: 7 }, { locality: '' }],
    updated_at: ['2026-01-01', 1.5, -1, '7'],
  }

  for (const [name, values] of Object.entries(right)) {
    it(`${name} is accepted in its type and format`, () => {
      for (const value of values) {
        assert.equal(claimProblem(name, value), undefined, JSON.stringify(value))
      }
    })
  }
  for (const [name, values] of Object.entries(wrong)) {
    it(`${name} is refused in any other type or format`, () => {
      for (const value of values) {
        assert.ok(claimProblem(name, value)?.expected, JSON.stringify(value))
      }
    })
  }

  it('that is misspelt is refused with the probable spelling', () => {
    assert.equal(claimProblem('zoneinfo', 'europe/paris')?.instead, 'Europe/Paris')
    assert.equal(claimProblem('locale', 'en_US')?.instead, 'en-US')
    assert.match(
      claimProblem('birthdate', '1815-02-30')?.expected ?? '',
      /February 1815 has 28 days/,
    )
  })

  it('must be a standard claim or be listed in the configuration under a scope', () => {
    const names = claimNames({ profile: ['name', 'groups'], work: ['badge', 'sub', 'valueOf'] })
    const listed = ['badge', 'groups', 'valueOf']
    assert.deepEqual(names.toSorted(), [...STANDARD, ...listed].toSorted())
    assert.equal(unknownClaim('groups', names), undefined)
    assert.match(unknownClaim('group', names) ?? '', /There is no claim group\..*family_name/s)
    for (const made of ['sub', 'preferred_username', 'acr', 'iss', 'exp', 'sid']) {
      assert.match(unknownClaim(made, [...names, made]) ?? '', /cannot be set/, made)
    }
    for (const odd of ['__proto__', 'constructor', 'toString']) {
      assert.match(unknownClaim(odd, names) ?? '', /There is no claim/, odd)
    }
  })

  it('of the configuration may have any value but null', () => {
    for (const value of ['text', 7, false, ['a'], { b: 1 }]) {
      assert.equal(claimProblem('groups', value), undefined)
    }
    assert.ok(claimProblem('groups', null))
  })

  it('is parsed as JSON unless it is a standard claim that is text', () => {
    const read = {
      name: ['{"a":1}', '{"a":1}'],
      nickname: ['true', 'true'],
      email_verified: ['true', true],
      address: ['{"country":"UK"}', { country: 'UK' }],
      updated_at: ['7', 7],
      groups: ['["a","b"]', ['a', 'b']],
      badge: ['A-7', 'A-7'],
    } as const
    for (const [name, [text, value]] of Object.entries(read)) {
      assert.deepEqual(readClaim(name, text), value, name)
    }
    assert.ok(claimProblem('address', readClaim('address', 'London')))
  })
})

describe('claims together', () => {
  const at = { removed: [], now: 7 }

  it('are refused if they verify a missing email address or phone number', () => {
    assert.equal(claimsProblems({ email_verified: true }).length, 1)
    assert.equal(claimsProblems({ phone_number_verified: false }).length, 1)
    assert.deepEqual(claimsProblems({ email: 'a@b.example', email_verified: true }), [])
  })

  it('must have E.164 for a verified phone number, and warn about other formats', () => {
    const number = '+1 (604) 555-1234'
    const verified = { phone_number_verified: true }
    assert.match(claimsProblems({ phone_number: number, ...verified })[0] ?? '', /E\.164/)
    assert.deepEqual(claimsProblems({ phone_number: '+16045551234', ...verified }), [])
    assert.equal(claimsAdvice({ phone_number: number }), undefined)
    assert.match(claimsAdvice({ phone_number: '0604 555' }) ?? '', /E\.164/)
    assert.equal(claimsAdvice({}), undefined)
  })

  it('are refused above 16,384 characters', () => {
    assert.match(
      claimsProblems({ groups: 'a'.repeat(20_000) })[0] ?? '',
      /at most 16384 are allowed/,
    )
  })

  it('keep what a change does not name, and get updated_at', () => {
    const before: Claims = { name: 'Ada', locale: 'en', updated_at: 1 }
    const after = changeClaims(before, { locale: 'fr' }, { removed: ['name'], now: 7 })
    assert.deepEqual(after, { locale: 'fr', updated_at: 7 })
    assert.equal(changeClaims(before, { updated_at: 3 }, at).updated_at, 3)
  })

  it('lose the verification of a changed or removed email address or phone number', () => {
    const before: Claims = {
      email: 'a@b.example',
      email_verified: true,
      phone_number: '+16045551234',
      phone_number_verified: true,
    }
    const { email_verified, ...known } = changeClaims(before, { email: 'c@d.example' }, at)
    assert.equal(known.email, 'c@d.example')
    assert.equal(known.phone_number_verified, true)
    assert.equal(email_verified, undefined)
    const both = { email: 'c@d.example', email_verified: true }
    assert.equal(changeClaims(before, both, at).email_verified, true)
    assert.equal(changeClaims(before, { email: 'a@b.example' }, at).email_verified, true)
    const gone = changeClaims(before, {}, { removed: ['phone_number'], now: 7 })
    assert.deepEqual(claimsProblems(gone), [])
    assert.ok(!('phone_number_verified' in gone))
  })
})
