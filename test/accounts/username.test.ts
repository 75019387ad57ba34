import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { comparableUsername, usernameProblem } from '../../src/accounts/username.ts'

describe('the user name of a new account', () => {
  it('may have one script, or those of Chinese, Japanese or Korean', () => {
    const right = [
      ...['ada', 'Ada.Lovelace', 'ada_l-1815+x', 'ada@example.com', 'ada lovelace'],
      ...[
        'josé',
        'Straße',
        'ŁUKASZ',
        'çağrı',
        'paral·lel',
        'nguyễn',
        'адам',
        'νίκος',
        'אברהם',
        'محمد',
      ],
      ...[
        '山田太郎',
        'やまだ',
        'ヤマダ',
        '山田たろう',
        'tanaka田中',
        'パーティー',
        'ジョン・スミス',
        '김철수',
        'kim김',
      ],
      ...[
        '陳大文',
        'राम',
        'ราม',
        'தமிழ்',
        'გიორგი',
        'አበበ',
        'ᏣᎳᎩ',
        'ⵎⵓⵃⴰ',
        'ｊｏｓé',
        'محمد2',
        'محمد٢',
      ],
    ]
    for (const name of right) assert.equal(usernameProblem(name), undefined, name)
  })

  it('is refused with letters of two scripts, which can look alike', () => {
    for (const name of [
      'аda',
      'pаypal',
      'adα',
      'адamа',
      'ada山田やまα',
      'ラ김',
      'admiñя',
      'דודa',
    ]) {
      assert.match(usernameProblem(name)?.expected ?? '', /one script/, name)
    }
    assert.match(usernameProblem('pаypal')?.expected ?? '', /character 2, а, is U\+0430/)
  })

  it('is refused with invisible characters, and with blanks other than single ones inside', () => {
    const hidden = [
      'a\u200bda',
      'a\u00adda',
      'ada\u2060',
      '\ufeffada',
      'a\u202eda',
      'ad\u200da',
      'a\u034fda',
    ]
    const blank = [' ada', 'ada ', 'ada  b', 'a\u00a0b', 'a\u3000b', 'a\tb', 'a\nb', '', 'a\u3164b']
    for (const name of [...hidden, ...blank]) {
      assert.ok(usernameProblem(name), JSON.stringify(name))
    }
    assert.equal(usernameProblem('ada  b')?.instead, 'ada b')
  })

  it('is refused with signs beyond ASCII, compatibility forms or letters of old scripts', () => {
    const wrong = [
      'ada♥',
      '😀',
      'ﬁona',
      '①',
      'a²',
      'ⅷ',
      'ada…',
      'ᄀ',
      'مـحمد',
      'a·b',
      '𐤀𐤁',
      'ᚠᚢ',
      '½',
      '€',
    ]
    for (const name of wrong) assert.ok(usernameProblem(name), name)
  })

  it('is refused with marks without a letter, too many marks or two kinds of digits', () => {
    for (const name of [
      '\u0301ada',
      'ada \u0301',
      'a\u0316\u0316',
      `a${'\u0316\u0317\u0318\u0319\u031a'}`,
    ]) {
      assert.match(usernameProblem(name)?.expected ?? '', /marks/, JSON.stringify(name))
    }
    for (const name of ['محمد1٢', 'राम1२', '1۲٣']) {
      assert.ok(usernameProblem(name), name)
    }
  })

  it('is refused if its parts would change places when displayed from right to left', () => {
    for (const name of ['1דוד', '.דוד', 'דוד.', 'דוד-']) {
      assert.match(usernameProblem(name)?.expected ?? '', /right to left/, name)
    }
    for (const name of ['דוד1', 'דוד.כהן', 'שָׁלוֹם'])
      assert.equal(usernameProblem(name), undefined, name)
  })

  it('is refused above 255 characters, as typed or as stored', () => {
    assert.equal(usernameProblem('a'.repeat(255)), undefined)
    assert.ok(usernameProblem('a'.repeat(256)))
    assert.ok(usernameProblem('İ'.repeat(200)))
  })
})

describe('user names', () => {
  it('are compared in a form whose own form is the same', () => {
    const names = [
      ...['Ada', 'JOSE\u0301', 'ＡＤＡ', 'İstanbul', 'ΟΔΥΣΣΕΥΣ', 'ﾊﾟ', '\u212b', '\u1e9e', 'ǅ'],
      ...['\ud800', '\0', 'ￂ', '￣', '\u0958', 'ᾼ', 'Ω\u0345', 'ŉ'],
    ]
    for (const name of names) {
      const form = comparableUsername(name)
      assert.equal(comparableUsername(form), form, JSON.stringify(name))
      assert.equal(form, form.normalize('NFC').toLowerCase(), JSON.stringify(name))
    }
  })
})
