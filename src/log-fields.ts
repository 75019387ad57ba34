import { KeyturnError } from './errors.ts'

/**
 * What may stand in a log, as a list of what is allowed. Errors of drivers and parsers carry what was
 * asked and what came over the wire: statements with their values, raw packets with passwords,
 * cookies and tokens. So of an error only named fields are written, and of everything else only plain
 * data; a list of what is bad would always lack the next one.
 */

/** Characters of a text, of a message of ours, and of a message that others wrote. */
const LONGEST = { text: 1000, own: 4000, foreign: 300 }
/** Items of a list, and fields of an object. */
const MOST = 100
/** Levels of objects in objects, and of causes. */
const DEEPEST = 5
/** Lines of a stack. */
const STACK = 20

/** Fields of errors that say what happened and where, and never what was sent. */
const ERROR_FIELDS = ['errno', 'syscall', 'address', 'port', 'sqlState', 'kid', 'model'] as const

/** Belt and braces: nothing logs these on purpose. */
const SECRET = /^(password|jwk|d|authorization|cookie|set-cookie|dpop|client_secret|.*token)$/i

/** An error as an object of its named fields: `type`, `code`, `message`, `statusCode`, `stack`... */
export function errorFields(error: Error, depth = 0): Readonly<Record<string, unknown>> {
  const fields: Record<string, unknown> = { type: shorten(error.name, 100) }
  // Any error may be read for fields that it does not have.
  const given = error as unknown as Readonly<Record<string, unknown>>
  const { code, statusCode = given.status, errors, cause } = given
  if (typeof code === 'string' || typeof code === 'number') fields.code = plain(code)
  fields.message = messageOf(error)
  if (typeof statusCode === 'number') fields.statusCode = statusCode
  for (const name of ERROR_FIELDS) {
    const value = given[name]
    if (typeof value === 'string' || typeof value === 'number') fields[name] = plain(value)
  }
  if (depth < DEEPEST) {
    if (cause instanceof Error) fields.cause = errorFields(cause, depth + 1)
    if (Array.isArray(errors)) {
      const inner = errors.filter((item) => item instanceof Error).slice(0, 10)
      if (inner.length > 0) fields.errors = inner.map((item) => errorFields(item, depth + 1))
    }
  }
  if (isBug(error, code, statusCode)) fields.stack = stackOf(error)
  return fields
}

/** The message of any error, without what it may quote of a request. */
export function messageOf(error: Error): string {
  if (error instanceof KeyturnError) return shorten(error.message, LONGEST.own)
  // V8 quotes the text that it could not parse.
  if (error instanceof SyntaxError && error.message.includes('JSON')) return 'not valid JSON'
  const message = shorten(String(error.message), LONGEST.foreign)
  return message.replace(QUOTED, '$1…').replace(/(Received|input:) .*$/s, '$1 …')
}

/** Long enough for a name, and too short for a token. */
const QUOTED = /(["'`])[^"'`]{25,}/g

/** The same data with errors as their fields, and nothing that is not plain data. */
export function logFields(data: object): object {
  return plainObject(data, 0)
}

function plain(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return shorten(value, LONGEST.text)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return errorFields(value, depth)
  if (depth >= DEEPEST) return '…'
  if (Array.isArray(value)) return value.slice(0, MOST).map((item) => plain(item, depth + 1))
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  return plainObject(value, depth)
}

function plainObject(value: object, depth: number): object {
  const prototype = Object.getPrototypeOf(value)
  // A request, a buffer, a socket: its name says enough.
  if (prototype !== null && prototype !== Object.prototype) {
    return { type: value.constructor?.name ?? 'object' }
  }
  const entries = Object.entries(value).slice(0, MOST)
  return Object.fromEntries(
    entries.map(([name, item]) => [name, SECRET.test(name) ? '***' : plain(item, depth + 1)]),
  )
}

/**
 * Does only its stack say what it is? Situations of ours have words, errors of the system and of drivers
 * have codes, and what has a status below 500 is a client's doing.
 */
function isBug(error: Error, code: unknown, statusCode: unknown): boolean {
  if (error instanceof KeyturnError) return false
  if (typeof statusCode === 'number' && statusCode < 500) return false
  return typeof code !== 'string' || code.startsWith('ERR_')
}

/** Without the message, which its text begins with. */
function stackOf({ stack = '' }: Error): string {
  const lines = stack.split('\n').filter((line) => /^ {4}at /.test(line))
  return lines.slice(0, STACK).join('\n')
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}
