import { readRfc3339 } from '../values/rfc3339.ts'
import { nameProblem, proseProblem, type TextProblem } from '../values/text.ts'
import { uriProblem } from '../values/uri.ts'

/**
 * What clients are told of a person: the standard claims (OpenID Connect Core 1.0, section 5.1), and
 * others that the configuration names. What is not known is not there: no claim has a default, since
 * clients act on what a claim says, and most of all on `email_verified`.
 */
export interface Claims {
  readonly name?: string
  readonly email?: string
  readonly email_verified?: boolean
  readonly phone_number?: string
  readonly phone_number_verified?: boolean
  /** Seconds since the epoch, when these claims were last changed. */
  readonly updated_at?: number
  readonly [name: string]: unknown
}

/** Of a claim as clients get it. */
type ClaimRule = (value: unknown) => TextProblem | undefined

/** Characters of a text; the columns of `name` and `email` are as wide as theirs. */
const LONGEST = { name: 255, email: 320, url: 2048, text: 1000 }
/** Characters of all claims of a person together, in JSON. */
const LONGEST_CLAIMS = 16_384

const person = textOf(LONGEST.name, proseProblem)
const url = textOf(LONGEST.url, webAddressProblem)

const RULES: Readonly<Record<string, ClaimRule>> = {
  name: person,
  given_name: person,
  family_name: person,
  middle_name: person,
  nickname: person,
  profile: url,
  picture: url,
  website: url,
  email: textOf(LONGEST.email, emailProblem),
  email_verified: yesOrNo,
  gender: person,
  birthdate: textOf(LONGEST.text, birthdateProblem),
  zoneinfo: textOf(LONGEST.text, zoneProblem),
  locale: textOf(LONGEST.text, localeProblem),
  phone_number: textOf(LONGEST.text, nameProblem),
  phone_number_verified: yesOrNo,
  address: addressProblem,
  updated_at: instantProblem,
}

/** Claims that Keyturn or the protocol makes; nobody can set them. */
const MADE: Readonly<Record<string, string>> = {
  sub: 'the id of the account',
  preferred_username: 'the user name of the account',
  ...Object.fromEntries(
    [
      ...[
        'iss',
        'aud',
        'exp',
        'iat',
        'nbf',
        'jti',
        'nonce',
        'azp',
        'sid',
        'acr',
        'amr',
        'auth_time',
      ],
      ...[
        'at_hash',
        'c_hash',
        's_hash',
        'cnf',
        'scope',
        'client_id',
        'act',
        'may_act',
        'typ',
        'events',
      ],
      ...['_claim_names', '_claim_sources'],
    ].map((name) => [name, 'a claim of the protocol']),
  ),
}

const ADDRESS_PARTS: readonly string[] = [
  ...['formatted', 'street_address', 'locality', 'region', 'postal_code', 'country'],
]

/** E.164, with blanks and signs between the digits for people, and an extension (RFC 3966). */
const E164 = /^\+[1-9]\d{1,14}(;ext=\d{1,8})?$/

/**
 * Claims that an account may have here.
 * @param configured the configuration's `claims`: which claims each scope gives
 */
export function claimNames(
  configured: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  const others = Object.values(configured).flat()
  return [...new Set([...Object.keys(RULES), ...others])].filter((name) => !(name in MADE))
}

/**
 * @param names which claims there are (`claimNames`)
 * @returns why nobody can have this claim, for a sentence of its own
 */
export function unknownClaim(name: string, names: readonly string[]): string | undefined {
  if (Object.hasOwn(MADE, name)) return `The claim ${name} cannot be set: it is ${MADE[name]}.`
  if (names.includes(name)) return undefined
  return (
    `There is no claim ${name}. Standard claims are ${Object.keys(RULES).join(', ')}; for another one, ` +
    'name it in the configuration under the scope that gives it (claims).'
  )
}

/** @returns what is wrong with the value of a claim; any value will do for a claim that is no standard one */
export function claimProblem(name: string, value: unknown): TextProblem | undefined {
  if (value === null || value === undefined) return { expected: 'known; leave out what is not' }
  return Object.hasOwn(RULES, name) ? RULES[name]?.(value) : undefined
}

/** What is wrong with claims that are right one by one, for sentences of their own. */
export function claimsProblems(claims: Claims): readonly string[] {
  const { email, email_verified, phone_number = '', phone_number_verified } = claims
  const problems: string[] = []
  if (email_verified !== undefined && email === undefined) {
    problems.push('email_verified says something about an email address: set email too.')
  }
  if (phone_number_verified !== undefined && phone_number === '') {
    problems.push(
      'phone_number_verified says something about a phone number: set phone_number too.',
    )
  }
  if (phone_number_verified === true && phone_number !== '' && !E164.test(phone_number)) {
    problems.push(
      `A phone number that is verified must be in the format E.164, such as +14255551212 (OpenID ` +
        'Connect Core 1.0, section 5.1).',
    )
  }
  const { length } = JSON.stringify(claims)
  if (length > LONGEST_CLAIMS) {
    problems.push(`All claims together have ${length} characters; ${LONGEST_CLAIMS} are the most.`)
  }
  return problems
}

/** What is allowed and will trouble some clients. */
export function claimsAdvice({ phone_number: number }: Claims): string | undefined {
  if (number === undefined || E164.test(number.replaceAll(/[ ().-]/g, ''))) return undefined
  return (
    `The phone number ${number} is not in the format E.164, such as +14255551212: clients may be unable to ` +
    'read it.'
  )
}

/**
 * Claims after a change. What was known of an email address or a phone number is not known of another
 * one, so a new address is unverified unless the same change says otherwise.
 * @param removed names of claims that are not known any more
 */
export function changeClaims(
  before: Claims,
  set: Claims,
  { removed, now }: { readonly removed: readonly string[]; readonly now: number },
): Claims {
  const gone = new Set(removed)
  for (const about of ['email', 'phone_number']) {
    const isAnother = Object.hasOwn(set, about) && set[about] !== before[about]
    if (isAnother || gone.has(about)) gone.add(`${about}_verified`)
  }
  const kept = Object.entries(before).filter(([name]) => !gone.has(name))
  return { ...Object.fromEntries(kept), updated_at: now, ...set }
}

/** A value as a person writes it in a command: JSON where the claim is no text. */
export function readClaim(name: string, text: string): unknown {
  const isText = Object.hasOwn(RULES, name) && !NO_TEXT.includes(name)
  if (isText) return text
  try {
    return JSON.parse(text)
  } catch {
    // For a claim of the configuration, whose type nobody knows; the rule of a standard one refuses it.
    return text
  }
}

const NO_TEXT: readonly string[] = [
  ...['email_verified', 'phone_number_verified', 'address', 'updated_at'],
]

function textOf(longest: number, rule: (text: string) => TextProblem | undefined): ClaimRule {
  return (value) => {
    if (typeof value !== 'string') return { expected: 'text' }
    if (value.length > longest) return { expected: `text of at most ${longest} characters` }
    return rule(value)
  }
}

function yesOrNo(value: unknown): TextProblem | undefined {
  return typeof value === 'boolean' ? undefined : { expected: 'true or false' }
}

function instantProblem(value: unknown): TextProblem | undefined {
  const isInstant = Number.isSafeInteger(value) && Number(value) >= 0
  return isInstant
    ? undefined
    : { expected: 'a whole number of seconds since 1970, such as 1767225600' }
}

function webAddressProblem(text: string): TextProblem | undefined {
  const isWeb = /^https?:/.test(URL.parse(text)?.protocol ?? '')
  const expected = 'a URL of the web, such as https://example.com/ada'
  return isWeb ? uriProblem(text) : { expected }
}

/** RFC 5322, section 3.4.1, as far as it can be told from typing errors. */
function emailProblem(text: string): TextProblem | undefined {
  const problem = nameProblem(text)
  if (problem || /^[^@\s]+@[^@\s]+$/.test(text)) return problem
  return { expected: 'an email address, such as ada@example.com' }
}

/** ISO 8601 dates; the year may be 0000 where it is not told, or stand alone. */
function birthdateProblem(text: string): TextProblem | undefined {
  const expected = 'a date such as 1815-12-10, 0000-12-10 without the year, or 1815'
  if (/^(?!0000)\d{4}$/.test(text)) return undefined
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return { expected }
  const read = readRfc3339(`${text}T00:00:00Z`)
  return 'problem' in read ? { expected: `${expected}; ${read.problem}` } : undefined
}

/** A name of the IANA time zone database. */
function zoneProblem(text: string): TextProblem | undefined {
  const expected = 'a time zone of the IANA database, such as Europe/Paris'
  if (!/^[A-Za-z]/.test(text)) return { expected }
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions()
    // The names are compared with regard to case where they name files.
    const isMisspelt = timeZone !== text && timeZone.toLowerCase() === text.toLowerCase()
    return isMisspelt ? { expected, instead: timeZone } : undefined
  } catch {
    return { expected }
  }
}

/** BCP 47. */
function localeProblem(text: string): TextProblem | undefined {
  const expected = 'a language tag (BCP 47), such as en-US'
  const read = (tag: string) => {
    try {
      return Intl.getCanonicalLocales(tag)[0]
    } catch {
      return undefined
    }
  }
  return read(text) ? undefined : { expected, instead: read(text.replaceAll('_', '-')) }
}

/** OpenID Connect Core 1.0, section 5.1.1. */
function addressProblem(value: unknown): TextProblem | undefined {
  const expected =
    `a JSON object of texts named ${ADDRESS_PARTS.join(', ')}, ` +
    'such as {"street_address":"12 St James\'s Square","locality":"London"}'
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { expected }
  const parts = Object.entries(value)
  const isPart = ([name, text]: readonly [string, unknown]) =>
    ADDRESS_PARTS.includes(name) && typeof text === 'string' && !linesProblem(text)
  return parts.length > 0 && parts.every(isPart) ? undefined : { expected }
}

/** Lines of an address, each by the rule of text for people. */
function linesProblem(text: string): TextProblem | undefined {
  if (text.length > LONGEST.text) return { expected: `text of at most ${LONGEST.text} characters` }
  return text
    .split(/\r?\n/)
    .map(proseProblem)
    .find((problem) => problem !== undefined)
}
