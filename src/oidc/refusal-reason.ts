import { messageOf } from '../log-fields.ts'

/**
 * Why oidc-provider refused a request, for the log: what it tells the client, and what it keeps to
 * itself, such as "authorization code is expired".
 */
export function refusalReason(error: Error): string {
  const { error_description: told, error_detail: detail, cause } = error as Refusal
  // A detail that was taken from another error may quote what it could not parse.
  const why = cause instanceof Error ? messageOf(cause) : detail
  const parts = [told, why].filter((part) => typeof part === 'string' && part !== '')
  return [...new Set(parts)].join(': ') || error.message
}

/** The fields of oidc-provider's errors. */
interface Refusal extends Error {
  readonly error_description?: unknown
  readonly error_detail?: unknown
}
