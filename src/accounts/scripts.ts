import { codePointOf, type TextProblem } from '../values/text.ts'

/** Scripts that may stand together in one name (UTS 39, sections 5.1 to 5.3). */

/** Scripts in modern use (UAX 31, tables 5 and 7); a name has only one of them. */
const SCRIPTS = [
  ...[
    'Latin',
    'Greek',
    'Cyrillic',
    'Armenian',
    'Hebrew',
    'Arabic',
    'Thaana',
    'Devanagari',
    'Bengali',
  ],
  ...[
    'Gurmukhi',
    'Gujarati',
    'Oriya',
    'Tamil',
    'Telugu',
    'Kannada',
    'Malayalam',
    'Sinhala',
    'Thai',
  ],
  ...['Lao', 'Tibetan', 'Myanmar', 'Georgian', 'Ethiopic', 'Khmer'],
  ...['Adlam', 'Balinese', 'Bamum', 'Batak', 'Canadian_Aboriginal', 'Chakma', 'Cham', 'Cherokee'],
  ...[
    'Hanifi_Rohingya',
    'Javanese',
    'Kayah_Li',
    'Lepcha',
    'Limbu',
    'Lisu',
    'Mandaic',
    'Meetei_Mayek',
  ],
  ...[
    'Miao',
    'Mongolian',
    'New_Tai_Lue',
    'Newa',
    'Nko',
    'Nyiakeng_Puachue_Hmong',
    'Ol_Chiki',
    'Osage',
  ],
  ...[
    'Saurashtra',
    'Sundanese',
    'Syloti_Nagri',
    'Syriac',
    'Tai_Le',
    'Tai_Tham',
    'Tai_Viet',
    'Tifinagh',
  ],
  ...['Vai', 'Wancho', 'Yi'],
]

/** Combinations of scripts for Chinese, Japanese and Korean, with Latin letters. */
const TOGETHER = [
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Hangul'],
]

/** Matches text of these scripts and of characters that all scripts share. */
function lettersOf(scripts: readonly string[]): RegExp {
  const some = [...scripts, 'Common', 'Inherited'].map(
    (script) => `\\p{Script_Extensions=${script}}`,
  )
  return new RegExp(`^[${some.join('')}]*$`, 'u')
}

let writings: readonly RegExp[] | undefined

/** The problem of a name that mixes scripts (UTS 39, "highly restrictive") or kinds of digits. */
export function scriptProblem(name: string): TextProblem | undefined {
  // The expressions are built at the first use, because few programs add accounts.
  writings ??= [...SCRIPTS.map((script) => [script]), ...TOGETHER].map(lettersOf)
  if (!writings.some((letters) => letters.test(name))) {
    return {
      expected: `text of one script, because letters of several can look alike${where(name)}`,
    }
  }
  const zeros = new Set([...name].filter((character) => /\p{Nd}/u.test(character)).map(zeroOf))
  if (zeros.size > 1)
    return { expected: 'text with digits of one kind, because digits of several can look alike' }
  return undefined
}

/** Names the first character that does not go with the previous ones. */
function where(name: string): string {
  const characters = [...name]
  const odd = characters.findIndex((_, index) => {
    const begin = characters.slice(0, index + 1).join('')
    return !writings?.some((letters) => letters.test(begin))
  })
  const character = characters[odd] ?? ''
  return ` (character ${odd + 1}, ${character}, is ${codePointOf(character)})`
}

/** The zero of the digit's kind, because Unicode keeps the ten digits of a kind in order. */
function zeroOf(digit: string): number {
  let zero = digit.codePointAt(0) ?? 0
  for (let left = 9; left > 0 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1)); left -= 1)
    zero -= 1
  return zero
}
