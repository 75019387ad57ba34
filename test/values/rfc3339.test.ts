import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { toRfc3339 } from '../../src/clock.ts'
import { readRfc3339 } from '../../src/values/rfc3339.ts'

const at = (text: string) => {
  const read = readRfc3339(text)
  return 'at' in read ? toRfc3339(read.at) : assert.fail(`${text}: ${read.problem}`)
}
const problem = (text: string) => {
  const read = readRfc3339(text)
  return 'problem' in read ? read.problem : assert.fail(`${text} is ${toRfc3339(read.at)}`)
}

describe('readRfc3339', () => {
  for (const [text, expected] of [
    ['2026-11-22T10:00:00Z', '2026-11-22T10:00:00Z'],
    ['2026-11-22t10:00:00z', '2026-11-22T10:00:00Z'],
    ['2026-11-22T10:00:00.999999999Z', '2026-11-22T10:00:00Z'],
    ['2026-11-22T10:00:00+05:30', '2026-11-22T04:30:00Z'],
    ['2026-12-31T23:30:00-01:00', '2027-01-01T00:30:00Z'],
    ['2026-11-22T10:00:00-00:00', '2026-11-22T10:00:00Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00Z'],
    ['0050-01-01T00:00:00Z', '0050-01-01T00:00:00Z'],
    ['1985-04-12T23:20:50.52Z', '1985-04-12T23:20:50Z'],
    ['1969-12-31T23:59:59.5Z', '1969-12-31T23:59:59Z'],
    // A leap second, in UTC and elsewhere (RFC 3339, section 5.8).
    ['1990-12-31T23:59:60Z', '1991-01-01T00:00:00Z'],
    ['1990-12-31T15:59:60-08:00', '1991-01-01T00:00:00Z'],
    ['2015-06-30T23:59:60Z', '2015-07-01T00:00:00Z'],
  ] as const) {
    it(`takes ${text} for ${expected}`, () => assert.equal(at(text), expected))
  }

  for (const [text, reason] of [
    ['2026-02-30T00:00:00Z', 'February 2026 has 28 days'],
    ['2026-02-29T00:00:00Z', 'February 2026 has 28 days'],
    ['2100-02-29T00:00:00Z', 'February 2100 has 28 days'],
    ['2024-02-30T00:00:00Z', 'February 2024 has 29 days'],
    ['2026-04-31T00:00:00Z', 'April 2026 has 30 days'],
    ['2026-12-32T00:00:00Z', 'December 2026 has 31 days'],
    ['2026-01-00T00:00:00Z', 'there is no day 00; days begin with 01'],
    ['2026-13-01T00:00:00Z', 'there is no month 13; months are 01 to 12'],
    ['2026-00-01T00:00:00Z', 'there is no month 00; months are 01 to 12'],
    ['2026-11-22T24:00:00Z', 'there is no hour 24; hours are 00 to 23'],
    ['2026-11-22T10:60:00Z', 'there is no minute 60; minutes are 00 to 59'],
    ['2026-11-22T10:00:61Z', 'there is no second 61; seconds are 00 to 59'],
    ['2026-11-22T10:00:00', 'its offset from UTC is missing: end it with Z or +01:00'],
    ['2026-11-22T10:00:00+24:00', 'there is no offset +24:00; offsets are -23:59 to +23:59'],
    ['2026-11-22T10:00:00+01:60', 'there is no offset +01:60; offsets are -23:59 to +23:59'],
    ['0000-01-01T00:00:00+00:01', 'in UTC its year is not one of 0000 to 9999'],
    ['9999-12-31T23:59:59-00:01', 'in UTC its year is not one of 0000 to 9999'],
  ] as const) {
    it(`says why ${text} is no instant`, () => assert.equal(problem(text), reason))
  }

  for (const text of [
    '26-11-22T10:00:00Z',
    '2026-1-2T10:00:00Z',
    '20261122T100000Z',
    '2026-11-22',
    '2026-11-22T10:00Z',
    '2026-11-22T10:00:00.Z',
    '2026-11-22T10:00:00,5Z',
    '2026-11-22T10:00:00+0100',
    '2026-11-22T10:00:00+01',
    '2026-11-22T10:00:00 Z',
    '2026-11-22T10:00:00Z\n',
    ' 2026-11-22T10:00:00Z',
    '+002026-11-22T10:00:00Z',
    '２０２６-11-22T10:00:00Z',
    '2026-11-22T10:00:00Z[UTC]',
    '2026-11-22T12:00:60Z',
    '2026-11-30T23:59:60Z',
    'Sun, 22 Nov 2026 10:00:00 GMT',
    '',
  ]) {
    it(`refuses ${JSON.stringify(text)} and says what is expected`, () => {
      assert.match(problem(text), /must|missing|only|no /)
    })
  }

  it('reads every instant as it was written', () => {
    const year = 86_400 * 366
    fc.assert(
      fc.property(fc.integer({ min: -1900 * year, max: 7900 * year }), (seconds) => {
        assert.deepEqual(readRfc3339(toRfc3339(seconds)), { at: seconds })
      }),
    )
  })
})
