import { readRfc3339 } from '../values/rfc3339.ts'
import { nameProblem, proseProblem, type TextProblem } from '../values/text.ts'
import { uriProblem } from '../values/uri.ts'

/**
 * Claims of a person: the standard claims (OpenID Connect Core 1.0, section 5.1) and others that
 * the configuration names. Unknown claims are absent and none has a default, because clients act on
 * the values, most of all on `email_verified`.
 */
export interface Claims {
  readonly name?: string
  readonly email?: string
  readonly email_verified?: boolean
  readonly phone_number?: string
  readonly phone_number_verified?: boolean
  /** Instant of the last change of these claims. */
  readonly updated_at?: number
  readonly [name: string]: unknown
}

/** Checks the value of a claim. */
type ClaimRule = (value: unknown) => TextProblem | undefined

/** Most characters of a text; `name` and `email` fill their database columns. */
const LONGEST = { name: 255, email: 320, url: 2048, text: 1000 }
/** Most characters of all claims of a person together, as JSON. */
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

/** Claims that nobody can set, because Keyturn or the protocol makes them. */
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

/** A phone number in E.164 format, with an extension (RFC 3966). */
const E164 = /^\+[1-9]\d{1,14}(;ext=\d{1,8})?$/

/**
 * Names of the claims that an account may have.
 * @param configured `claims` of the configuration: the claims that each scope gives
 */
export function claimNames(
  configured: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  const others = Object.values(configured).flat()
  return [...new Set([...Object.keys(RULES), ...others])].filter(
    (name) => !Object.hasOwn(MADE, name),
  )
}

/**
 * Explains why no account can have this claim; undefined if accounts can have it.
 * @param names of all possible claims (`claimNames`)
 * @returns a whole sentence
 */
export function unknownClaim(name: string, names: readonly string[]): string | undefined {
  if (Object.hasOwn(MADE, name))
    return `The claim ${name} cannot be set, because it is ${MADE[name]}.`
  if (names.includes(name)) return undefined
  return (
    `There is no claim ${name}. Standard claims are ${Object.keys(RULES).join(', ')}; to add another one, ` +
    'list it in the configuration under the scope that gives it (claims).'
  )
}

/** The problem of a claim's value; claims that are not standard may have any value but null. */
export function claimProblem(name: string, value: unknown): TextProblem | undefined {
  if (value === null || value === undefined)
    return { expected: 'a value other than null; leave the claim out if it is unknown' }
  return Object.hasOwn(RULES, name) ? RULES[name]?.(value) : undefined
}

/** Problems of claims in combination, each a whole sentence. */
export function claimsProblems(claims: Claims): readonly string[] {
  const { email, email_verified, phone_number = '', phone_number_verified } = claims
  const problems: string[] = []
  if (email_verified !== undefined && email === undefined) {
    problems.push('email_verified needs an email address: set email too.')
  }
  if (phone_number_verified !== undefined && phone_number === '') {
    problems.push('phone_number_verified needs a phone number: set phone_number too.')
  }
  if (phone_number_verified === true && phone_number !== '' && !E164.test(phone_number)) {
    problems.push(
      'A verified phone number must have the format E.164, such as +14255551212 (OpenID Connect Core ' +
        '1.0, section 5.1).',
    )
  }
  const { length } = JSON.stringify(claims)
  if (length > LONGEST_CLAIMS) {
    problems.push(
      `All claims together have ${length} characters, but at most ${LONGEST_CLAIMS} are allowed.`,
    )
  }
  return problems
}

/** A warning about claims that are allowed but that some clients cannot read. */
export function claimsAdvice({ phone_number: number }: Claims): string | undefined {
  if (number === undefined || E164.test(number.replaceAll(/[ ().-]/g, ''))) return undefined
  return (
    `The phone number ${number} does not have the format E.164, such as +14255551212. Some clients may not ` +
    'be able to read it.'
  )
}

/**
 * Claims after a change. A new email address or phone number is unverified unless the same change
 * says otherwise.
 * @param removed names of claims to remove
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

/** Parses a claim's value from a command: JSON, or plain text for standard claims that are text. */
export function readClaim(name: string, text: string): unknown {
  const isText = Object.hasOwn(RULES, name) && !NO_TEXT.includes(name)
  if (isText) return text
  try {
    return JSON.parse(text)
  } catch {
    // A claim of the configuration may be text; the rule of a standard claim refuses it.
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
  const expected = 'an http or https URL, such as https://example.com/ada'
  return isWeb ? uriProblem(text) : { expected }
}

/**
 * A rough check of RFC 5322, section 3.4.1, which finds typing errors, such as a name and an
 * address in angle brackets, or two addresses.
 */
function emailProblem(text: string): TextProblem | undefined {
  const problem = nameProblem(text)
  if (problem || /^[^@\s<>()[\],;:\\"]+@[^@\s<>()[\],;:\\"]+$/.test(text)) return problem
  return { expected: 'an email address, such as ada@example.com' }
}

/** An ISO 8601 date; the year may be 0000 for unknown, or stand alone. */
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
    // Clients may use the name as a file name, so its case matters.
    const isMisspelt = timeZone !== text && timeZone.toLowerCase() === text.toLowerCase()
    return isMisspelt ? { expected, instead: timeZone } : undefined
  } catch {
    return { expected }
  }
}

/** Language tags are those of BCP 47. */
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

/** The members of an address are those of OpenID Connect Core 1.0, section 5.1.1. */
function addressProblem(value: unknown): TextProblem | undefined {
  const expected =
    `a JSON object with texts for some of ${ADDRESS_PARTS.join(', ')}, ` +
    'such as {"street_address":"12 St James\'s Square","locality":"London"}'
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { expected }
  const parts = Object.entries(value)
  const isPart = ([name, text]: readonly [string, unknown]) =>
    ADDRESS_PARTS.includes(name) && typeof text === 'string' && !linesProblem(text)
  return parts.length > 0 && parts.every(isPart) ? undefined : { expected }
}

/** Checks each line of a part of an address. */
function linesProblem(text: string): TextProblem | undefined {
  if (text.length > LONGEST.text) return { expected: `text of at most ${LONGEST.text} characters` }
  return text
    .split(/\r?\n/)
    .map(proseProblem)
    .find((problem) => problem !== undefined)
}
