import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { table } from '../../src/cli/table.ts'

const PLAIN = { colors: false }

describe('a table', () => {
  it('has columns as wide as their cells, without blanks at the end', () => {
    const rows = [
      ['shop', 'Shop', 1],
      ['a-longer-id', '株式会社', 23],
      ['flag', '👩‍👧 Café', ''],
    ]
    assert.deepEqual(table(['CLIENT', 'NAME', 'N'], rows, PLAIN).split('\n'), [
      'CLIENT       NAME      N',
      'shop         Shop      1',
      'a-longer-id  株式会社  23',
      'flag         👩‍👧 Café',
    ])
  })

  it('has a bold head if colours are allowed, also without rows', () => {
    assert.equal(table(['A', 'B'], [], { colors: true }), '\x1b[1mA  B\x1b[22m')
    assert.equal(table(['A', 'B'], [], PLAIN), 'A  B')
  })

  it('replaces characters in cells that control the terminal, break lines or reverse text', () => {
    const text = table(['A'], [['a\x1b[2J'], ['b\nc'], ['d\u202ee'], ['f\x9bg']], PLAIN)
    assert.equal(text, 'A\na?[2J\nb?c\nd?e\nf?g')
  })

  const PRICES = [
    ['for ever, but fetches', '14 d 1 h', 'Quarkus, Kong, aws-jwt-verify'],
    ['5 min', '1 h', 'Envoy'],
  ]

  it('wraps cells of words on a narrow terminal', () => {
    const text = table(['KEEPS KEYS', 'FOR', 'SUCH AS'], PRICES, { ...PLAIN, columns: 48 })
    assert.deepEqual(text.split('\n'), [
      'KEEPS KEYS             FOR       SUCH AS',
      'for ever, but fetches  14 d 1 h  Quarkus, Kong,',
      '                                 aws-jwt-verify',
      '5 min                  1 h       Envoy',
    ])
    const narrow = table(['KEEPS KEYS', 'FOR', 'SUCH AS'], PRICES, { ...PLAIN, columns: 36 })
    assert.deepEqual(narrow.split('\n'), [
      'KEEPS KEYS  FOR       SUCH AS',
      'for ever,   14 d 1 h  Quarkus, Kong,',
      'but                   aws-jwt-verify',
      'fetches',
      '5 min       1 h       Envoy',
    ])
  })

  it('keeps ids whole, and is not wrapped if it still would not fit', () => {
    const rows = [['a-kid-of-many-characters', 'signs from 2027']]
    const fits = table(['KID', 'NEXT'], rows, { ...PLAIN, columns: 36 })
    assert.deepEqual(fits.split('\n').slice(1), [
      'a-kid-of-many-characters  signs from',
      '                          2027',
    ])
    const wide = table(['KID', 'NEXT'], rows, PLAIN)
    assert.equal(table(['KID', 'NEXT'], rows, { ...PLAIN, columns: 20 }), wide)
  })

  it('of a hundred thousand rows is formatted within a minute', { timeout: 60_000 }, () => {
    const rows = Array.from({ length: 100_000 }, (_, i) => [`client-${i}`, 'Name', 'confidential'])
    assert.equal(table(['CLIENT', 'NAME', 'KIND'], rows, PLAIN).split('\n').length, 100_001)
  })
})
