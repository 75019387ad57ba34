import type { Logger } from 'pino'
import type { Clock } from './clock.ts'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

export interface SeldomOptions {
  /** Lines of one kind that may be written at once. */
  readonly burst: number
  /** Seconds in which one line more of that kind may be written. */
  readonly pause: number
  /** Messages that are always written. */
  readonly except?: readonly string[]
}

/** What anybody on the network can cause as often as they like. */
export const CAUSED_BY_CLIENTS: SeldomOptions = { burst: 20, pause: 1 }

interface Kind {
  /** Lines that may be written, with fraction. */
  left: number
  at: number
  /** Lines that were not written since the last one that was. */
  untold: number
}

/** More kinds than the messages of Keyturn and the error codes of OAuth make. */
const KINDS = 1000

/**
 * A log for what others can cause: some lines of each kind are written, then one now and then, which
 * says in `others` how many there were besides. Otherwise clients could fill the disk, and requests
 * that fail while a store is away would. Lines are of one kind if they have the same level, message and
 * `error` (an error code) or code of `err`.
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
    const kind = kinds.get(name) ?? { left: burst, at: now, untold: 0 }
    kinds.set(name, kind)
    kind.left = Math.min(burst, kind.left + (now - kind.at) / pause)
    kind.at = now
    if (kind.left < 1) {
      kind.untold += 1
      return
    }
    log[level](kind.untold > 0 ? { ...fields, others: kind.untold } : fields, text)
    kind.left -= 1
    kind.untold = 0
  }
  // pino's type has more ways of calling it than the two that are used here.
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
