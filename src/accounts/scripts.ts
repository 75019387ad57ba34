import { codePointOf, type TextProblem } from '../values/text.ts'

/** Which letters stand together in one name (UTS 39, sections 5.1 to 5.3). */

/** Scripts that people write today (UAX 31, tables 5 and 7), each by itself. */
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

/** Chinese, Japanese and Korean are written in several, and with Latin letters in between. */
const TOGETHER = [
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Hangul'],
]

/** Characters of one way of writing, and those that all have in common. */
function lettersOf(scripts: readonly string[]): RegExp {
  const some = [...scripts, 'Common', 'Inherited'].map(
    (script) => `\\p{Script_Extensions=${script}}`,
  )
  return new RegExp(`^[${some.join('')}]*$`, 'u')
}

let writings: readonly RegExp[] | undefined

/** "Highly restrictive" (UTS 39, section 5.2), and digits of one kind (section 5.3). */
export function scriptProblem(name: string): TextProblem | undefined {
  // Not at import: few programs add accounts.
  writings ??= [...SCRIPTS.map((script) => [script]), ...TOGETHER].map(lettersOf)
  if (!writings.some((letters) => letters.test(name))) {
    return { expected: `text of one script, as letters of several can look alike${where(name)}` }
  }
  const zeros = new Set([...name].filter((character) => /\p{Nd}/u.test(character)).map(zeroOf))
  if (zeros.size > 1) return { expected: 'text with digits of one kind, as others can look alike' }
  return undefined
}

/** Names the first character that does not go with those before it. */
function where(name: string): string {
  const characters = [...name]
  const odd = characters.findIndex((_, index) => {
    const begin = characters.slice(0, index + 1).join('')
    return !writings?.some((letters) => letters.test(begin))
  })
  const character = characters[odd] ?? ''
  return ` (character ${odd + 1}, ${character}, is ${codePointOf(character)})`
}

/** Decimal digits stand in order, ten together, for each kind. */
function zeroOf(digit: string): number {
  let zero = digit.codePointAt(0) ?? 0
  for (let left = 9; left > 0 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1)); left -= 1)
    zero -= 1
  return zero
}
