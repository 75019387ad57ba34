import { codePointOf, nameProblem, type TextProblem, type TextRule } from '../values/text.ts'
import { scriptProblem } from './scripts.ts'

/**
 * User names are compared as RFC 8265, section 3.3 says (UsernameCaseMapped): typed on another keyboard, in
 * capitals, in full width or with accents put together otherwise, a name is the same name. No package
 * does it, so these are the steps of the profile; letters, cases and compositions are those of the
 * Unicode version of the engine.
 */

/** Full and half width letters and signs, whose ordinary form their compatibility decomposition is. */
const WIDTH = /[\u3000\uff01-\uff9f\uffe0-\uffe2\uffe4-\uffee]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: the limits of ASCII
const ASCII = /^[\x00-\x7f]*$/

/**
 * The form in which names are compared, and in which new ones are stored. It refuses nothing, as names of
 * before may be such as no new one can be.
 */
export function comparableUsername(name: string): string {
  const lower = name.toLowerCase()
  if (ASCII.test(lower)) return lower
  const widths = name.replace(WIDTH, (character) => character.normalize('NFKC'))
  return widths.normalize('NFC').toLowerCase().normalize('NFC')
}

/** UTF-16 code units, the most that its column takes. */
const LONGEST = 255

/**
 * The user name of a new account: of the code points of RFC 8264's IdentifierClass, with single blanks between
 * parts, of one script (UTS 39, "highly restrictive"), and nothing in it that nobody sees.
 */
export const usernameProblem: TextRule = (text) => {
  const name = comparableUsername(text)
  if (text === '' || Math.max(text.length, name.length) > LONGEST) {
    return { expected: `text of 1 to ${LONGEST} characters` }
  }
  return (
    nameProblem(text) ??
    blankProblem(text) ??
    codePointProblem(name) ??
    scriptProblem(name) ??
    directionProblem(name)
  )
}

function blankProblem(text: string): TextProblem | undefined {
  if (!text.includes('  ')) return undefined
  return { expected: 'text without several blanks in a row', instead: text.replace(/ {2,}/g, ' ') }
}

/** RFC 8264, section 9: letters, digits, marks (A), and ASCII (K); not the letters of old Hangul (I). */
const IDENTIFIER = /[\p{Ll}\p{Lu}\p{Lo}\p{Lm}\p{Mn}\p{Mc}\p{Nd}\x20-\x7e]/u
const OLD_HANGUL = /[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]/
/** Exceptions (F): what is allowed, and what is not, whatever its category. */
const ALLOWED = 'ßς۽۾་〇'
const DISALLOWED = '\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b'

/** RFC 5892, appendix A: signs that are right between some letters and not elsewhere. */
const IN_CONTEXT: Readonly<Record<string, RegExp>> = {
  // Catalan: l·l.
  '\u00b7': /(?<=l)\u00b7(?=l)/u,
  '\u0375': /\u0375(?=\p{Script=Greek})/u,
  '\u05f3': /(?<=\p{Script=Hebrew})\u05f3/u,
  '\u05f4': /(?<=\p{Script=Hebrew})\u05f4/u,
  '\u30fb': /\u30fb/u,
}

/** More than a letter of any language has; and the same mark twice is seen as one (UTS 39, section 5.4). */
const TOO_MANY_MARKS = /(\p{Mn})\1|\p{Mn}{5}/u

function codePointProblem(name: string): TextProblem | undefined {
  const characters = [...name]
  const odd = characters.find((character) => {
    const context = IN_CONTEXT[character]
    if (context) return name.replace(new RegExp(context, 'gu'), '').includes(character)
    if (DISALLOWED.includes(character) || OLD_HANGUL.test(character)) return true
    if (ALLOWED.includes(character)) return false
    return !IDENTIFIER.test(character) || character.normalize('NFKC') !== character
  })
  if (odd !== undefined) {
    return {
      expected: `letters, digits and signs of ASCII; ${odd} (${codePointOf(odd)}) is none of them`,
    }
  }
  if (/(^| )\p{M}/u.test(name) || TOO_MANY_MARKS.test(name.normalize('NFD'))) {
    return { expected: 'letters with the marks that belong to them, and no others' }
  }
  return undefined
}

/** Letters that are written from right to left. */
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}\p{Script=Mandaic}\p{Script=Hanifi_Rohingya}]/u
const BEGINS_RIGHT = new RegExp(`^(?=\\p{L})${RIGHT_TO_LEFT.source}`, 'u')
const ENDS_RIGHT = /[\p{L}\p{Nd}]\p{M}*$/u

/** RFC 5893, section 2, for a name that is of one script already: else parts of it change places in display. */
function directionProblem(name: string): TextProblem | undefined {
  if (!RIGHT_TO_LEFT.test(name)) return undefined
  if (BEGINS_RIGHT.test(name) && ENDS_RIGHT.test(name)) return undefined
  return {
    expected:
      'text that begins with a letter and ends with a letter or digit, as it is read from right to left',
  }
}
