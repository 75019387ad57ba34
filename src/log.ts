import { type LevelWithSilent, type Logger, pino } from 'pino'
import { errorFields, logFields, messageOf } from './log-fields.ts'

export interface LogOptions {
  /** Least level that is written. */
  readonly level: LevelWithSilent
  /** `auto` is pretty on a terminal. */
  readonly format: 'json' | 'pretty' | 'auto'
}

/** Structured lines on standard error; standard output is for what a command answers. */
export function createLog({ level, format }: LogOptions): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { logMethod: logSafely },
    // An error is its fields by then; pino's own serializer would look for more.
    serializers: { err: (error: unknown) => error },
  }
  if (!isPretty) return pino(options, pino.destination(2))
  const target = { target: 'pino-pretty', options: { destination: 2, translateTime: 'HH:MM:ss' } }
  return pino({ ...options, transport: target })
}

/**
 * Every call of every level passes here, whoever makes it: an error becomes its named fields and an
 * object plain data (`log-fields.ts`), wherever in the call they stand.
 */
function logSafely(this: Logger, given: unknown[], method: (...safe: never[]) => void): void {
  const [first, ...rest] = given
  const words = rest.map((item) => (item instanceof Error ? messageOf(item) : safe(item)))
  const line =
    first instanceof Error
      ? [{ err: errorFields(first) }, ...(words.length > 0 ? words : [messageOf(first)])]
      : [safe(first), ...words]
  // pino's type lists what a line can begin with; this one begins as the caller's did.
  method.apply(this, line as never[])
}

function safe(item: unknown): unknown {
  return typeof item === 'object' && item !== null ? logFields(item) : item
}
