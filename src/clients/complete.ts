import { randomBytes, randomUUID } from 'node:crypto'
import { OFFERED_PROPERTIES } from './properties.ts'
import { saysNothing } from './without-effect.ts'

/** Completes what an operator gives of a client to metadata (RFC 7591). */

type Metadata = Readonly<Record<string, unknown>>

/** Metadata without empty values, because programs that write all properties leave some empty. */
export function withoutEmpty<T>(metadata: T): T | Metadata {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return metadata
  const kept = Object.entries(metadata).filter(([name, value]) => {
    if (name === 'client_id') return true
    // An empty list and `false` have a meaning for properties that clients can have.
    const isSaid = Array.isArray(value) || typeof value === 'boolean'
    return (OFFERED_PROPERTIES.includes(name) && isSaid) || !saysNothing(value)
  })
  return Object.fromEntries(kept)
}

/** Adds empty response types for a client without the code grant (RFC 7591, section 2.1). */
export function withResponseTypes<T extends Metadata>(metadata: T): T {
  const { grant_types: grants, response_types: types } = metadata
  if (!Array.isArray(grants) || types !== undefined) return metadata
  return grants.includes('authorization_code') ? metadata : { ...metadata, response_types: [] }
}

const SECRET_BYTES = 32

/** A random secret of 256 bits. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url')
}

/** True if a client with this metadata authenticates with a secret. */
export function hasSecret({ token_endpoint_auth_method: method }: Metadata): boolean {
  return method === undefined || String(method).startsWith('client_secret_')
}

/** A random client_id. */
export function newClientId(): string {
  return randomUUID()
}
