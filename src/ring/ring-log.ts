/**
 * Where the ring tells what it does: structured data first, then one sentence for people. pino's
 * loggers are such logs. No line has key material in it.
 */
export interface RingLog {
  info(data: object, message: string): void
  warn(data: object, message: string): void
  error(data: object, message: string): void
}

/** Tells nobody. */
export const silentLog: RingLog = { info: () => {}, warn: () => {}, error: () => {} }
