import { z } from 'zod'

/**
 * Rules for text that people write as settings and as arguments of commands. Text that a program
 * would read differently from how it looks is refused: nothing is trimmed or corrected silently,
 * because other parties have the text as it was meant.
 */

export interface TextProblem {
  /** Expected form, in words that end the sentence "it must be ...". */
  readonly expected: string
  /** Text that was probably meant, if it passes the same rule. */
  readonly instead?: string | undefined
}

export type TextRule = (text: string) => TextProblem | undefined

/**
 * Invisible characters: control characters, characters that Unicode lets programs ignore in display
 * (DI: soft hyphens, zero-width and filling characters, byte order marks), line separators, lone
 * surrogates, and the replacement of bytes that were no text.
 */
export const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{DI}\p{Zl}\p{Zp}\ufffd]/u

/** Invisible characters except those that join emoji and letters of some scripts. */
const HIDDEN_IN_PROSE =
  /(?!\u200c|\u200d|\ufe0e|\ufe0f)[\p{Cc}\p{Cf}\p{Cs}\p{DI}\p{Zl}\p{Zp}\ufffd]/u

const ODD_BLANK = /(?! )\p{Zs}/u

/**
 * Rule for text that programs compare or use: names, paths, prefixes, scopes. Inner blanks are
 * allowed.
 */
export const nameProblem: TextRule = (text) => {
  if (text === '') return { expected: 'text that is not empty' }
  return hiddenProblem(text, HIDDEN) ?? hiddenProblem(text, ODD_BLANK) ?? edgeProblem(text)
}

/** Rule for text for people, such as the name of a client. */
export const proseProblem: TextRule = (text) => {
  if (text === '') return { expected: 'text that is not empty' }
  return hiddenProblem(text, HIDDEN_IN_PROSE) ?? edgeProblem(text)
}

/**
 * Rule for client identifiers (RFC 6749, appendix A.1), so that two different ones never look
 * alike.
 */
export const clientIdProblem: TextRule = (text) => {
  const problem = nameProblem(text)
  if (problem) return problem
  if (!/^[\x20-\x7e]+$/.test(text)) {
    return { expected: 'text of ASCII characters (RFC 6749, appendix A.1)' }
  }
  return text.length > LONGEST_NAME ? TOO_LONG : undefined
}

/** Rule for the name of a client on pages. */
export const clientNameProblem: TextRule = (text) =>
  proseProblem(text) ?? (text.length > LONGEST_NAME ? TOO_LONG : undefined)

/** Most characters, because columns of the database with a client's id have no more. */
const LONGEST_NAME = 255
const TOO_LONG: TextProblem = { expected: `text of at most ${LONGEST_NAME} characters` }

/**
 * Rule for secrets, which are used unchanged, so only characters that cannot be intended are
 * refused.
 */
export const secretProblem: TextRule = (text) => {
  const found = /\p{Cc}|\ufeff/u.exec(text)
  return found ? { expected: `text without control characters ${place(found)}` } : undefined
}

/** Rule for a scope (RFC 6749, section 3.3); blanks separate scopes. */
export const scopeProblem: TextRule = (text) =>
  /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text)
    ? undefined
    : { expected: 'a scope: letters, digits and signs other than " and \\, without blanks' }

/** Rule for a colour as in style sheets. */
export const colorProblem: TextRule = (text) => {
  if (/^#[\da-f]{6}$/.test(text)) return undefined
  const [, red = '', green = '', blue = ''] = /^#?([\da-f])([\da-f])([\da-f])$/i.exec(text) ?? []
  const six = red === '' ? text.replace(/^#?/, '#') : `#${red}${red}${green}${green}${blue}${blue}`
  const instead = /^#[\da-f]{6}$/i.test(six) ? six.toLowerCase() : undefined
  return { expected: 'a colour such as "#00875a", in quotes and small letters', instead }
}

/** The schema of a text setting with a rule. */
export function textBy(rule: TextRule) {
  return z.string().check((context) => {
    const problem = rule(context.value)
    if (!problem) return
    const { expected: message, instead } = problem
    context.issues.push({ code: 'custom', input: context.value, message, params: { instead } })
  })
}

/** Quotes text for messages, with invisible characters escaped as \u and their number. */
export function visibly(text: string): string {
  return JSON.stringify(text).replace(/(?! )[\p{C}\p{Z}\p{DI}\ufffd]/gu, escaped)
}

function escaped(character: string): string {
  const units = character.split('')
  return units.map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}

/** The problem of the first character that a pattern finds. */
export function hiddenProblem(text: string, pattern: RegExp): TextProblem | undefined {
  const found = pattern.exec(text)
  if (!found) return undefined
  const what = /\p{Z}/u.test(found[0]) ? 'blanks like this' : 'invisible characters'
  const instead = readable(text.replaceAll(/\s+/g, oneBlank)) || undefined
  return { expected: `text without ${what} ${place(found)}`, instead }
}

/** Tabs and line breaks between words as a blank, which they were meant to be. */
function oneBlank(gap: string): string {
  return /[\t-\r\u2028\u2029]/.test(gap) ? ' ' : gap
}

/** The text without invisible characters and without blanks around it. */
export function readable(text: string): string {
  return text
    .replaceAll(new RegExp(HIDDEN, 'gu'), '')
    .replaceAll(/\p{Zs}/gu, ' ')
    .trim()
}

function place({ 0: character, index }: RegExpExecArray): string {
  return `(character ${index + 1} is ${codePointOf(character)})`
}

/** @example codePointOf('\u0430') // 'U+0430' */
export function codePointOf(character: string): string {
  const number = (character.codePointAt(0) ?? 0).toString(16)
  return `U+${number.toUpperCase().padStart(4, '0')}`
}

function edgeProblem(text: string): TextProblem | undefined {
  const bare = text.trim()
  if (bare === text) return undefined
  return { expected: 'text without blanks around it', instead: bare || undefined }
}
