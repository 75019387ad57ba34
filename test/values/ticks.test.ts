import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { guidBytes, guidOfBytes, readGuid } from '../../src/data-protection/guid.ts'
import {
  dateOf,
  formatTicks,
  formatXsdDate,
  LAST_TICK,
  readXsdDate,
  ticksOf,
} from '../../src/values/ticks.ts'

const read = (text: string) => {
  const date = readXsdDate(text)
  return 'problem' in date ? date.problem : formatTicks(date.ticks)
}

describe('a date of a ring', () => {
  it('is read to the tick, in whatever zone it stands', () => {
    assert.equal(read('2026-11-28T14:00:00.1234567Z'), '2026-11-28T14:00:00.1234567Z')
    assert.equal(read('2026-11-28T14:00:00+05:30'), '2026-11-28T08:30:00.0000000Z')
    assert.equal(read('2026-11-28T14:00:00.5-14:00'), '2026-11-29T04:00:00.5000000Z')
    assert.equal(read(' 0001-01-01T00:00:00Z\n'), '0001-01-01T00:00:00.0000000Z')
    assert.equal(read('9999-12-31T23:59:59.9999999Z'), '9999-12-31T23:59:59.9999999Z')
    assert.equal(ticksOf('9999-12-31T23:59:59.9999999Z'), LAST_TICK)
  })

  it('is rounded half to even beyond seven digits, up into the next second', () => {
    assert.equal(read('2026-11-28T14:00:00.12345675Z'), '2026-11-28T14:00:00.1234568Z')
    assert.equal(read('2026-11-28T14:00:00.12345665Z'), '2026-11-28T14:00:00.1234566Z')
    assert.equal(read('2026-11-28T14:00:00.123456650001Z'), '2026-11-28T14:00:00.1234567Z')
    assert.equal(read('2026-11-28T14:00:00.99999995Z'), '2026-11-28T14:00:01.0000000Z')
  })

  it('takes no longer where its fraction has a million digits', () => {
    const zeros = '0'.repeat(1_000_000)
    assert.equal(read(`2026-11-28T14:00:00.12345665${zeros}Z`), '2026-11-28T14:00:00.1234566Z')
    assert.equal(read(`2026-11-28T14:00:00.12345665${zeros}1Z`), '2026-11-28T14:00:00.1234567Z')
  })

  it('is refused where the calendar or the clock has none', () => {
    for (const text of [
      ...[
        '2026-02-29T00:00:00Z',
        '2026-13-01T00:00:00Z',
        '2026-00-01T00:00:00Z',
        '0000-01-01T00:00:00Z',
      ],
      ...['2026-01-01T24:00:00Z', '2026-01-01T00:60:00Z', '2026-01-01T00:00:60Z'],
      ...[
        '2026-01-01T00:00:00+14:01',
        '2026-01-01 00:00:00Z',
        '26-01-01T00:00:00Z',
        'yesterday',
        '',
      ],
      ...['0001-01-01T00:00:00+00:01', '9999-12-31T23:59:59-00:01', '2026-01-01T00:00:00.Z'],
    ]) {
      assert.ok('problem' in readXsdDate(text), text)
    }
  })

  it('without a zone is the time of this machine', () => {
    const date = readXsdDate('2026-11-28T14:00:00')
    assert.ok('ticks' in date && !date.isZoned)
    assert.equal(dateOf(date.ticks).getTime(), new Date(2026, 10, 28, 14).getTime())
  })

  it('is written without the zeros at its end', () => {
    assert.equal(formatXsdDate(ticksOf('2026-11-28T14:00:00.2500000Z')), '2026-11-28T14:00:00.25Z')
    assert.equal(formatXsdDate(ticksOf('2026-11-28T14:00:00Z')), '2026-11-28T14:00:00Z')
    assert.equal(formatXsdDate(ticksOf(new Date('2026-11-20T10:00:00Z'))), '2026-11-20T10:00:00Z')
  })
})

describe('an id of a key', () => {
  const id = '18ae0118-bd7f-4478-8909-a88ceadabdf1'

  it('is read in the forms that .NET takes', () => {
    for (const text of [id, id.toUpperCase(), ` {${id}} `, `(${id})`, id.replaceAll('-', '')]) {
      assert.equal(readGuid(text), id)
    }
    for (const text of [
      '',
      `{${id}`,
      `{${id.replaceAll('-', '')}}`,
      `${id}0`,
      'x'.repeat(36),
      `{${id})`,
    ]) {
      assert.equal(readGuid(text), undefined, text)
    }
  })

  it('has its first three groups turned round in a payload', () => {
    assert.equal(guidBytes(id).toString('hex'), '1801ae187fbd78448909a88ceadabdf1')
    assert.equal(guidOfBytes(guidBytes(id)), id)
  })
})
