import { codePointOf, nameProblem, type TextProblem, type TextRule } from '../values/text.ts'
import { scriptProblem } from './scripts.ts'

/**
 * User names are compared by RFC 8265, section 3.3 (UsernameCaseMapped), so that a name is the same
 * from another keyboard, in capitals, in full width or with other compositions of accents. The
 * steps of the profile are implemented here, because no package has them; letters, cases and
 * compositions are those of the engine's Unicode version.
 */

/** Full and half width characters, whose compatibility decomposition is the ordinary form. */
const WIDTH = /[\u3000\uff01-\uff9f\uffe0-\uffe2\uffe4-\uffee]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: the limits of ASCII
const ASCII = /^[\x00-\x7f]*$/

/**
 * The form in which names are compared and new names are stored. No name is refused, because
 * existing names may break rules for new ones.
 */
export function comparableUsername(name: string): string {
  const lower = name.toLowerCase()
  if (ASCII.test(lower)) return lower
  const widths = name.replace(WIDTH, (character) => character.normalize('NFKC'))
  return widths.normalize('NFC').toLowerCase().normalize('NFC')
}

/** Most UTF-16 code units of a name, the width of its database column. */
const LONGEST = 255

/**
 * Checks the user name of a new account: code points of RFC 8264's IdentifierClass, single blanks
 * between parts, one script (UTS 39, "highly restrictive"), and no invisible characters.
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

/** Letters, digits and marks (A) and ASCII (K) of RFC 8264, section 9. */
const IDENTIFIER = /[\p{Ll}\p{Lu}\p{Lo}\p{Lm}\p{Mn}\p{Mc}\p{Nd}\x20-\x7e]/u
/** Letters of old Hangul (I of RFC 8264, section 9), which are not allowed. */
const OLD_HANGUL = /[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]/
/** Exceptions (F of RFC 8264, section 9): allowed or not, whatever their category. */
const ALLOWED = 'ßς۽۾་〇'
const DISALLOWED = '\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b'

/** Signs that are allowed only beside some letters (RFC 5892, appendix A). */
const IN_CONTEXT: Readonly<Record<string, RegExp>> = {
  // The middle dot of Catalan: l·l.
  '\u00b7': /(?<=l)\u00b7(?=l)/u,
  '\u0375': /\u0375(?=\p{Script=Greek})/u,
  '\u05f3': /(?<=\p{Script=Hebrew})\u05f3/u,
  '\u05f4': /(?<=\p{Script=Hebrew})\u05f4/u,
  '\u30fb': /\u30fb/u,
}

/** More marks than any language uses, or a mark twice, which looks like one (UTS 39, 5.4). */
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
      expected: `letters, digits and ASCII signs, but has ${odd} (${codePointOf(odd)})`,
    }
  }
  if (/(^| )\p{M}/u.test(name) || TOO_MANY_MARKS.test(name.normalize('NFD'))) {
    return {
      expected:
        'letters with at most four marks each, no mark twice in a row and none without a letter',
    }
  }
  return undefined
}

/** Letters of scripts that are written from right to left. */
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}\p{Script=Mandaic}\p{Script=Hanifi_Rohingya}]/u
const BEGINS_RIGHT = new RegExp(`^(?=\\p{L})${RIGHT_TO_LEFT.source}`, 'u')
const ENDS_RIGHT = /[\p{L}\p{Nd}]\p{M}*$/u

/**
 * RFC 5893, section 2, for a name of one script: otherwise its parts would be displayed in another
 * order.
 */
function directionProblem(name: string): TextProblem | undefined {
  if (!RIGHT_TO_LEFT.test(name)) return undefined
  if (BEGINS_RIGHT.test(name) && ENDS_RIGHT.test(name)) return undefined
  return {
    expected:
      'text that begins with a letter and ends with a letter or digit, because it is written from right to left',
  }
}
