import { type LevelWithSilent, type Logger, pino } from 'pino'
import { errorFields, logFields, messageOf } from './log-fields.ts'

export interface LogOptions {
  /** Least level that is written. */
  readonly level: LevelWithSilent
  /** `auto` is pretty on a terminal. */
  readonly format: 'json' | 'pretty' | 'auto'
}

/**
 * Creates the log: structured lines on standard error, because standard output is for results of
 * commands.
 */
export function createLog({ level, format }: LogOptions): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { logMethod: logSafely },
    // The hook has already replaced errors by fields; pino's own serializer would add more.
    serializers: { err: (error: unknown) => error },
  }
  if (!isPretty) return pino(options, pino.destination(2))
  const target = { target: 'pino-pretty', options: { destination: 2, translateTime: 'HH:MM:ss' } }
  return pino({ ...options, transport: target })
}

/**
 * Hook for every call of every level: replaces errors by their named fields and objects by plain
 * data (`log-fields.ts`), in every argument.
 */
function logSafely(this: Logger, given: unknown[], method: (...safe: never[]) => void): void {
  const [first, ...rest] = given
  const words = rest.map((item) => (item instanceof Error ? messageOf(item) : safe(item)))
  const line =
    first instanceof Error
      ? [{ err: errorFields(first) }, ...(words.length > 0 ? words : [messageOf(first)])]
      : [safe(first), ...words]
  // The line has the same kind of first argument as the caller's, which pino's type does not see.
  method.apply(this, line as never[])
}

function safe(item: unknown): unknown {
  return typeof item === 'object' && item !== null ? logFields(item) : item
}
