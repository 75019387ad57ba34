/**
 * Log of the rings: structured data first, then one sentence for people. pino's loggers fit. No
 * line contains key material.
 */
export interface RingLog {
  info(data: object, message: string): void
  warn(data: object, message: string): void
  error(data: object, message: string): void
}

/** A log that drops every line. */
export const silentLog: RingLog = { info: () => {}, warn: () => {}, error: () => {} }
