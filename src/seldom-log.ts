import type { Logger } from 'pino'
import type { Clock } from './clock.ts'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

export interface SeldomOptions {
  /** Lines of a kind that may be written at once. */
  readonly burst: number
  /** Seconds after which another line of that kind may be written. */
  readonly pause: number
  /** Messages that are always written. */
  readonly except?: readonly string[]
}

/** Limits for lines that anybody on the network can cause. */
export const CAUSED_BY_CLIENTS: SeldomOptions = { burst: 20, pause: 1 }

interface Kind {
  /** Number of lines that may still be written, with fraction. */
  left: number
  at: number
  /** Number of lines that were dropped since the last written one. */
  dropped: number
}

/** Most kinds, more than Keyturn's messages and OAuth's error codes make. */
const KINDS = 1000

/**
 * A log for lines that clients can cause: writes the first lines of each kind, then one from time
 * to time, with the number of dropped lines in `others`. Otherwise clients, or failing requests
 * during an outage of a store, could fill the disk. Lines are of the same kind if they have the
 * same level, message and `error` (an error code) or code of `err`.
 */
export function createSeldomLog(
  log: Log,
  clock: Pick<Clock, 'elapsed'>,
  { burst, pause, except = [] }: SeldomOptions,
): Log {
  const kinds = new Map<string, Kind>()

  const writer = (level: keyof Log) => (data: object | string, message?: string) => {
    const [fields, text] = typeof data === 'string' ? [{}, data] : [data, message ?? '']
    if (except.includes(text)) return log[level](fields, text)
    const name = `${level} ${text} ${codeOf(fields)}`
    if (kinds.size > KINDS) kinds.clear()
    const now = clock.elapsed()
    const kind = kinds.get(name) ?? { left: burst, at: now, dropped: 0 }
    kinds.set(name, kind)
    kind.left = Math.min(burst, kind.left + (now - kind.at) / pause)
    kind.at = now
    if (kind.left < 1) {
      kind.dropped += 1
      return
    }
    log[level](kind.dropped > 0 ? { ...fields, others: kind.dropped } : fields, text)
    kind.left -= 1
    kind.dropped = 0
  }
  // pino's type has more overloads than the two that are used here.
  return {
    debug: writer('debug') as Log['debug'],
    info: writer('info') as Log['info'],
    warn: writer('warn') as Log['warn'],
    error: writer('error') as Log['error'],
  }
}

function codeOf(fields: object): string {
  if ('error' in fields && typeof fields.error === 'string') return fields.error.slice(0, 60)
  if (!('err' in fields) || !(fields.err instanceof Error)) return ''
  const code = 'code' in fields.err ? fields.err.code : fields.err.name
  return String(code).slice(0, 60)
}
