import type { Context } from 'koa'

/** What Node calls a connection that its other end closed, reset or fell silent on. */
const GONE = new Set([
  ...['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTCONN', 'ERR_HTTP_REQUEST_TIMEOUT'],
  ...['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'],
  ...['ERR_STREAM_UNABLE_TO_PIPE', 'ABORT_ERR'],
])

/**
 * Is an error of a request's or answer's own stream the doing of its client: one that closed the
 * connection, or sent what is not HTTP (`HPE_`, the parser's)? Such are no errors of this server. They
 * carry what was sent (`rawPacket`), which is nobody's business.
 */
export function isOfTheClient(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  if ('status' in error && typeof error.status === 'number' && error.status < 500) return true
  const code = 'code' in error ? String(error.code) : ''
  return GONE.has(code) || code.startsWith('HPE_')
}

/** The same for an error from anywhere: it only counts where the connection is really gone. */
export function isGone({ req, res }: Pick<Context, 'req' | 'res'>, error: unknown): boolean {
  return (req.errored !== null || res.destroyed) && isOfTheClient(error)
}
