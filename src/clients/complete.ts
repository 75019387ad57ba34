import { randomBytes, randomUUID } from 'node:crypto'
import { OFFERED_PROPERTIES } from './properties.ts'
import { saysNothing } from './without-effect.ts'

/** From what somebody says of a client to metadata (RFC 7591) that the server can work with. */

type Metadata = Readonly<Record<string, unknown>>

/**
 * Metadata without what says nothing: text that is empty means, with programs that write all
 * properties, that there is none.
 */
export function withoutEmpty<T>(metadata: T): T | Metadata {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return metadata
  const kept = Object.entries(metadata).filter(([name, value]) => {
    if (name === 'client_id') return true
    // A list without entries and no as an answer are something to say, where there is a question.
    const isSaid = Array.isArray(value) || typeof value === 'boolean'
    return (OFFERED_PROPERTIES.includes(name) && isSaid) || !saysNothing(value)
  })
  return Object.fromEntries(kept)
}

/** RFC 7591, section 2.1: a client without the code grant has no response type. */
export function withResponseTypes<T extends Metadata>(metadata: T): T {
  const { grant_types: grants, response_types: types } = metadata
  if (!Array.isArray(grants) || types !== undefined) return metadata
  return grants.includes('authorization_code') ? metadata : { ...metadata, response_types: [] }
}

/** 256 bits. */
const SECRET_BYTES = 32

/** A secret for a client. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url')
}

/** Does a client with this metadata prove itself with a secret? */
export function hasSecret({ token_endpoint_auth_method: method }: Metadata): boolean {
  return method === undefined || String(method).startsWith('client_secret_')
}

/** An id for a client that was given none. */
export function newClientId(): string {
  return randomUUID()
}
