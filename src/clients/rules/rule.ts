import type { Violation } from '../../errors.ts'
import type { ClientContext } from '../context.ts'
import { type ClientProperties, DEVICE_CODE } from '../properties.ts'

/** Types and functions that all rules of clients share. */

/** A client with defaults for what it does not set (RFC 7591, section 2). */
export interface RuledClient extends Partial<ClientProperties> {
  readonly method: string
  readonly grants: readonly string[]
  readonly types: readonly string[]
  readonly isNative: boolean
}

export interface ClientRule {
  /** Properties of which none may be malformed, else the rule is skipped. */
  readonly needs: readonly (keyof ClientProperties)[]
  readonly check: (client: RuledClient, context: ClientContext) => readonly Violation[]
}

export function withDefaults(client: Partial<ClientProperties>): RuledClient {
  const grants = client.grant_types ?? ['authorization_code']
  return {
    ...client,
    method: client.token_endpoint_auth_method ?? 'client_secret_basic',
    grants,
    types: client.response_types ?? (grants.includes('authorization_code') ? ['code'] : []),
    isNative: client.application_type === 'native',
  }
}

/** True if people sign in to a client with these grant types. */
export function hasPeople(grants: readonly string[]): boolean {
  return grants.includes('authorization_code') || grants.includes(DEVICE_CODE)
}

/** The violation of a property that has no effect. */
export function withoutEffect(path: string, value: unknown, why: string): Violation {
  const message = `it has no effect, because ${why}`
  return { path, value, rule: 'no-effect', message, fix: `remove ${path}` }
}
