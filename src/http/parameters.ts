/** What parameters may cost. Lengths are in characters, after decoding. */
export interface ParameterLimits {
  readonly parameterLength: number
  /** Of those that hold a JWT. */
  readonly jwtLength: number
  /** Parameters of one request. */
  readonly parameters: number
}

/** Parameters whose value is or may be a JWT (RFC 7519), keys and signatures included. */
const JWTS = new Set([
  ...['request', 'id_token_hint', 'client_assertion', 'assertion', 'subject_token', 'actor_token'],
  ...['token', 'access_token', 'logout_token', 'software_statement'],
])

/** Those that may be there more than once (RFC 8707, section 2; RFC 8693, section 2.1). */
const REPEATABLE = new Set(['resource', 'audience'])

/** All parameters that are no JWTs may together be as long as this many of the longest. */
const TOGETHER = 4

/** Objects in objects: `claims` (OIDC Core 1.0, section 5.5) needs 4, and JWTs have some more. */
const DEEPEST = 20

/** A text that is shorter cannot be nested so deeply that it costs anything. */
const SHALLOW = 1000

/**
 * Holds a query or a form, as they were sent, to what parameters may cost, before anything is made of
 * them or stored.
 * @param text of type `application/x-www-form-urlencoded`
 * @param mayRepeat whether somebody else deals with parameters that are there twice
 * @returns what is wrong, in words that name the parameter; undefined where nothing is
 */
export function findParameterProblem(
  text: string,
  limits: ParameterLimits,
  mayRepeat = false,
): string | undefined {
  if (text === '') return undefined
  if (CONTROL.test(text)) return 'parameters must not contain control characters'
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
  if (together > TOGETHER * limits.parameterLength) {
    return `all parameters are together longer than ${TOGETHER * limits.parameterLength} characters`
  }
  return undefined
}

/** Is there JSON in a text, or in the parts of a JWT, that is nested more deeply than any need? */
export function isTooDeep(text: string): boolean {
  if (text.length <= SHALLOW) return false
  if (depthOf(text) > DEEPEST) return true
  if (!JWT.test(text)) return false
  const [header = '', payload = ''] = text.split('.', 2)
  return [header, payload].some(
    (part) => depthOf(Buffer.from(part, 'base64url').toString('latin1')) > DEEPEST,
  )
}

/** Control characters, encoded or not: all but tab, line feed and carriage return, which JSON in a parameter may have. */
const CONTROL = /[^\t\n\r -~\x80-\xff]|%(?:0[0-8bcef]|1[\da-f]|7f)/i
const JWT = /^[\w-]+\.[\w-]*\./

/** Most brackets that are open at once. Those in strings count as well, which asks for too much of them. */
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
    // Whatever becomes of it is not longer.
    return text
  }
}

/** Names are the sender's: those that are no name of a parameter are not repeated to anybody. */
function shown(name: string): string {
  return /^[\w.:-]{1,40}$/.test(name) ? `the parameter ${name}` : 'a parameter'
}
