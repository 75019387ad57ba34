import type { Context } from 'koa'

/** Node's error codes for a connection that the client closed, reset or stopped answering. */
const CONNECTION_LOST = new Set([
  ...['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTCONN', 'ERR_HTTP_REQUEST_TIMEOUT'],
  ...['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'],
  ...['ERR_STREAM_UNABLE_TO_PIPE', 'ABORT_ERR'],
])

/**
 * True if the client caused an error of a request's or answer's stream: by closing the connection,
 * or by sending what is not HTTP (`HPE_` codes of the parser). Such errors are not this server's,
 * and must not be logged because they contain what was sent (`rawPacket`).
 */
export function isOfTheClient(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  if ('status' in error && typeof error.status === 'number' && error.status < 500) return true
  const code = 'code' in error ? String(error.code) : ''
  return CONNECTION_LOST.has(code) || code.startsWith('HPE_')
}

/**
 * Like `isOfTheClient`, for an error from anywhere: true only if the connection is really closed.
 */
export function isGone({ req, res }: Pick<Context, 'req' | 'res'>, error: unknown): boolean {
  return (req.errored !== null || res.destroyed) && isOfTheClient(error)
}
