import { randomBytes } from 'node:crypto'
import type { Sealer } from './encryptor.ts'
import { NoDefaultKey, PayloadRefused } from './errors.ts'
import { encodePurposes, HEADER_BYTES, payloadHeader, readPayloadHeader } from './payload.ts'
import type { Ring, RingKey } from './ring.ts'
import { createTimeLimited, type TimeLimitedProtector } from './time-limited.ts'

/** Result of {@link Protector.dangerousUnprotect}. */
export interface Unprotected {
  readonly data: Buffer
  /**
   * True if the payload should be protected again, because its key is revoked or no longer in use.
   */
  readonly requiresMigration: boolean
  readonly wasRevoked: boolean
}

/** Protects bytes for one chain of purposes, as `IDataProtector` does. */
export interface Protector {
  /** Makes a protector for one or more purposes below these. */
  createProtector(...purposes: string[]): Protector
  /** Protects bytes. @throws NoDefaultKey */
  protect(data: Uint8Array): Buffer
  /** Opens a payload. @throws PayloadRefused */
  unprotect(payload: Uint8Array): Buffer
  /**
   * Opens a payload even if its key is revoked. A thief of that key may have made the payload, so
   * the caller decides whether to trust it. With `ignoreRevocationErrors: false` such payloads are
   * refused.
   * @throws PayloadRefused
   */
  dangerousUnprotect(
    payload: Uint8Array,
    options?: { readonly ignoreRevocationErrors?: boolean },
  ): Unprotected
  /** Makes a protector whose payloads expire, as `ToTimeLimitedDataProtector` does. */
  toTimeLimited(): TimeLimitedProtector
}

/** View of a ring for a protector. The ring may be read again meanwhile. */
export interface LiveRing {
  /** The ring as it was last read. */
  current(): Ring
  /** Finds a key by its id. */
  key(id: string): RingKey | undefined
  /** The key that protects now: the default key, or the fallback. */
  protecting(): RingKey | undefined
  now(): Date
}

export function createProtector(ring: LiveRing, purposes: readonly string[]): Protector {
  const encoded = encodePurposes(purposes)
  // A reload makes new key objects, and the old ones are collected.
  const sealers = new WeakMap<RingKey, { readonly header: Buffer; readonly sealer: Sealer }>()

  const sealerFor = (key: RingKey) => {
    const known = sealers.get(key)
    if (known) return known
    const encryptor = key.encryptor()
    if ('code' in encryptor) return encryptor
    const header = payloadHeader(key.id)
    const made = { header, sealer: encryptor.sealerFor(Buffer.concat([header, encoded])) }
    sealers.set(key, made)
    return made
  }

  const protector: Protector = {
    createProtector: (...more) => createProtector(ring, [...purposes, ...checkPurposes(more)]),
    protect: (data) => {
      const key = ring.protecting()
      const sealing = key && sealerFor(key)
      if (!sealing || 'code' in sealing) throw new NoDefaultKey()
      const { header, sealer } = sealing
      return Buffer.concat([header, sealer.seal(data, randomBytes(sealer.randomBytes))])
    },
    unprotect: (payload) =>
      protector.dangerousUnprotect(payload, { ignoreRevocationErrors: false }).data,
    dangerousUnprotect: (payload, { ignoreRevocationErrors = true } = {}) => {
      const id = readPayloadHeader(payload)
      const key = ring.key(id)
      if (!key) throw unknownKey(id)
      const opening = sealerFor(key)
      if ('code' in opening) throw new PayloadRefused('payload_key_unusable', opening.message)
      if (key.revoked && !ignoreRevocationErrors) throw revokedKey(id)
      const data = opening.sealer.open(payload.subarray(HEADER_BYTES))
      if (!data) throw invalidPayload()
      const requiresMigration = key.revoked || ring.protecting() !== key
      return { data, requiresMigration, wasRevoked: key.revoked }
    },
    toTimeLimited: () => createTimeLimited(protector, () => ring.now()),
  }
  return protector
}

/** Checks purposes. @throws TypeError if there is none, or one is no string */
export function checkPurposes(purposes: readonly string[]): readonly string[] {
  if (purposes.length === 0) throw new TypeError('A protector needs at least one purpose')
  if (!purposes.every((purpose) => typeof purpose === 'string')) {
    throw new TypeError('Purposes are strings')
  }
  return purposes
}

function unknownKey(id: string): PayloadRefused {
  return new PayloadRefused(
    'payload_key_unknown',
    `The payload was protected by key ${id}, which is not in the ring. It may have been made since the ring was ` +
      'read: read it again. Otherwise it is of another ring, or the key was deleted.',
  )
}

function revokedKey(id: string): PayloadRefused {
  return new PayloadRefused(
    'payload_key_revoked',
    `The payload was protected by key ${id}, which is revoked.`,
  )
}

function invalidPayload(): PayloadRefused {
  return new PayloadRefused(
    'payload_invalid',
    'The payload was changed or cut off, or protected for another purpose or application name ' +
      '(without SetApplicationName that is the content root, with a slash at its end).',
  )
}
