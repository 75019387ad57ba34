import { messageOf } from '../log-fields.ts'

/**
 * The reason why oidc-provider refused a request, for the log: what the client is told, and the
 * detail that only the server knows, such as "authorization code is expired".
 */
export function refusalReason(error: Error): string {
  const { error_description: told, error_detail: detail, cause } = error as Refusal
  // The detail may repeat the cause's message, which may quote unparsable input; `messageOf` leaves
  // that out.
  const why = cause instanceof Error ? messageOf(cause) : detail
  const parts = [told, why].filter((part) => typeof part === 'string' && part !== '')
  return [...new Set(parts)].join(': ') || error.message
}

/** The fields of oidc-provider's errors. */
interface Refusal extends Error {
  readonly error_description?: unknown
  readonly error_detail?: unknown
}
