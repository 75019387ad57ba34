import { KeyturnError } from './errors.ts'

/**
 * Restricts log lines to allowed content. Errors of drivers and parsers contain statements with
 * their values and raw packets with passwords, cookies and tokens. So only named fields of an error
 * are written, and only plain data of everything else; a list of forbidden fields would always be
 * incomplete.
 */

/** Most characters of a text, of a message of Keyturn, and of a foreign message. */
const LONGEST = { text: 1000, own: 4000, foreign: 300 }
/** Most items of a list and most fields of an object. */
const MOST = 100
/** Most levels of nested objects and of causes. */
const DEEPEST = 5
/** Most lines of a stack. */
const STACK = 20

/** Fields of errors that tell what happened and where, and never contain what was sent. */
const ERROR_FIELDS = ['errno', 'syscall', 'address', 'port', 'sqlState', 'kid', 'model'] as const

/** Names that are masked as a second safeguard, because nothing logs them on purpose. */
const SECRET = /^(password|jwk|d|authorization|cookie|set-cookie|dpop|client_secret|.*token)$/i

/**
 * An error as an object of its named fields: `type`, `code`, `message`, `statusCode`, `stack`...
 */
export function errorFields(error: Error, depth = 0): Readonly<Record<string, unknown>> {
  const fields: Record<string, unknown> = { type: shorten(error.name, 100) }
  // The cast allows reading fields that the error may lack.
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

/** The message of any error, without quotations of a request. */
export function messageOf(error: Error): string {
  if (error instanceof KeyturnError) return shorten(error.message, LONGEST.own)
  // V8's message quotes the text that it could not parse.
  if (error instanceof SyntaxError && error.message.includes('JSON')) return 'not valid JSON'
  const message = shorten(String(error.message), LONGEST.foreign)
  return message.replace(QUOTED, '$1…').replace(/(Received|input:) .*$/s, '$1 …')
}

/** Quotations that are longer than a name and may be a token. */
const QUOTED = /(["'`])[^"'`]{25,}/g

/** The data with errors as their fields, and plain data only. */
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
  // Of a request, a buffer or a socket only the name of its class is logged.
  if (prototype !== null && prototype !== Object.prototype) {
    return { type: value.constructor?.name ?? 'object' }
  }
  const entries = Object.entries(value).slice(0, MOST)
  return Object.fromEntries(
    entries.map(([name, item]) => [name, SECRET.test(name) ? '***' : plain(item, depth + 1)]),
  )
}

/**
 * True if only the stack explains the error. Keyturn's errors have words, errors of the system and
 * of drivers have codes, and errors with a status below 500 are caused by clients.
 */
function isBug(error: Error, code: unknown, statusCode: unknown): boolean {
  if (error instanceof KeyturnError) return false
  if (typeof statusCode === 'number' && statusCode < 500) return false
  return typeof code !== 'string' || code.startsWith('ERR_')
}

/** The stack without the message at its beginning. */
function stackOf({ stack = '' }: Error): string {
  const lines = stack.split('\n').filter((line) => /^ {4}at /.test(line))
  return lines.slice(0, STACK).join('\n')
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}
