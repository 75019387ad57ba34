import { type Logger, pino } from 'pino'
import type { Config } from './config/schema.ts'

/** Structured lines on standard error; standard output is for what a command answers. */
export function createLog({ level, format }: Config['log']): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stderr.isTTY)
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // Belt and braces: nothing logs these on purpose.
    // Errors of drivers carry what was asked, values included.
    redact: [
      ...['password', '*.password', 'jwk', '*.jwk', 'req.headers.cookie'],
      ...['err.parameters', 'err.query', 'err.driverError', 'err.command'],
    ],
  }
  if (!isPretty) return pino(options, pino.destination(2))
  const target = { target: 'pino-pretty', options: { destination: 2, translateTime: 'HH:MM:ss' } }
  return pino({ ...options, transport: target })
}
