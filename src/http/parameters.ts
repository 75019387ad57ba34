import { isUtf8 } from 'node:buffer'

/** Limits of parameters. Lengths are in characters, after decoding. */
export interface ParameterLimits {
  readonly parameterLength: number
  /** Length of parameters that may hold a JWT. */
  readonly jwtLength: number
  /** Number of parameters of one request. */
  readonly parameters: number
}

/** Parameters whose value is or may be a JWT (RFC 7519), keys and signatures included. */
const JWTS = new Set([
  ...['request', 'id_token_hint', 'client_assertion', 'assertion', 'subject_token', 'actor_token'],
  ...['token', 'access_token', 'logout_token', 'software_statement'],
])

/** Parameters that may be repeated (RFC 8707, section 2; RFC 8693, section 2.1). */
const REPEATABLE = new Set(['resource', 'audience'])

/** All parameters without JWTs may together be this many times as long as a single one. */
const TOTAL_FACTOR = 4

/** Most levels of nested JSON: `claims` (OIDC Core 1.0, section 5.5) needs 4, JWTs a few more. */
const DEEPEST = 20

/**
 * Characters up to which nesting is not checked, because so short a text costs nothing to parse.
 */
const SHALLOW = 1000

/**
 * Checks a query or a form, as sent, against the limits, before it is parsed or stored.
 * @param text of type `application/x-www-form-urlencoded`
 * @param mayRepeat whether repeated parameters are checked elsewhere
 * @returns the problem, in words that name the parameter; undefined if there is none
 */
export function findParameterProblem(
  text: string,
  limits: ParameterLimits,
  mayRepeat = false,
): string | undefined {
  if (text === '') return undefined
  if (UNUSUAL.test(text)) {
    if (CONTROL.test(text)) return 'parameters must not contain control characters'
    if (!isUtf8Text(text)) return 'parameters must be UTF-8'
  }
  const parts = text.split('&', limits.parameters + 1)
  if (parts.length > limits.parameters) {
    return `there are more than ${limits.parameters} parameters (http.limits.parameters)`
  }
  const seen = new Set<string>()
  let together = 0
  for (const part of parts) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decode(equals === -1 ? part : part.slice(0, equals))
    const value = equals === -1 ? '' : part.slice(equals + 1)
    if (!mayRepeat && seen.has(name) && !REPEATABLE.has(name)) {
      return `${shown(name)} must not be there twice (RFC 6749, section 3.1)`
    }
    seen.add(name)
    const isJwt = JWTS.has(name)
    const most = isJwt ? limits.jwtLength : limits.parameterLength
    const decoded = value.length > SHALLOW ? decode(value) : value
    if (decoded.length > most) {
      const setting = isJwt ? 'jwtLength' : 'parameterLength'
      return `${shown(name)} is longer than ${most} characters (http.limits.${setting})`
    }
    if (name.length > most) return `a name is longer than ${most} characters`
    if (!isJwt) together += name.length + decoded.length
    if (isTooDeep(decoded)) return `${shown(name)} is nested too deeply`
  }
  if (together > TOTAL_FACTOR * limits.parameterLength) {
    return `all parameters are together longer than ${TOTAL_FACTOR * limits.parameterLength} characters`
  }
  return undefined
}

/**
 * False if bytes are not UTF-8 (RFC 6749, appendix B), encoded or not: they would be replaced, and
 * a client would get another `state` or `nonce` back than it sent.
 */
function isUtf8Text(text: string): boolean {
  const decoded = text.replace(/%([89a-f][\da-f])/gi, (_encoded, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  return isUtf8(Buffer.from(decoded, 'latin1'))
}

/** True if a text, or a part of a JWT, may be JSON that is nested too deeply. */
export function isTooDeep(text: string): boolean {
  if (text.length <= SHALLOW) return false
  if (depthOf(text) > DEEPEST) return true
  if (!JWT.test(text)) return false
  const [header = '', payload = ''] = text.split('.', 2)
  return [header, payload].some(
    (part) => depthOf(Buffer.from(part, 'base64url').toString('latin1')) > DEEPEST,
  )
}

/**
 * Control characters, encoded or not, except tab, line feed and carriage return, which JSON may
 * have.
 */
const CONTROL = /[^\t\n\r -~\x80-\xff]|%(?:0[0-8bcef]|1[\da-f]|7f)/i
/** In every text that CONTROL finds or that is not ASCII, so that most texts need one search. */
const UNUSUAL = /[^\t\n\r -~]|%(?:[0189a-f]|7f)/i
const JWT = /^[\w-]+\.[\w-]*\./

/**
 * Most brackets that are open at once. Brackets in strings count too, so the result may be too
 * high.
 */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === 0x7b || code === 0x5b) {
      depth += 1
      if (depth > deepest) deepest = depth
    } else if (code === 0x7d || code === 0x5d) depth -= 1
  }
  return deepest
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // The text cannot be decoded; decoding would not make it longer.
    return text
  }
}

/**
 * The name if it looks like a parameter's name, because other text of the sender must not be
 * repeated.
 */
function shown(name: string): string {
  return /^[\w.:-]{1,40}$/.test(name) ? `the parameter ${name}` : 'a parameter'
}
