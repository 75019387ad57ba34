import { KeyturnError } from '../errors.ts'

/** Errors of key rings of ASP.NET Core Data Protection. */

/**
 * A key ring of ASP.NET Core Data Protection cannot be read as a whole: `ring_unavailable` if the
 * store does not answer or denies access, `revocation_unreadable` if it is unknown which keys are
 * revoked, `ring_emptied` if a keeper finds no key any more.
 */
export class KeyRingUnreadable extends KeyturnError {
  constructor(
    code: 'ring_unavailable' | 'revocation_unreadable' | 'ring_emptied',
    message: string,
    cause?: unknown,
  ) {
    super(code, message, cause)
  }
}

/** A key ring has no key to protect with: neither a default key nor a fallback. */
export class NoDefaultKey extends KeyturnError {
  constructor() {
    super(
      'no_default_key',
      'The key ring has no key to protect with: none is active, not revoked and readable. ' +
        'See its problems, and let its keeper make a new key.',
    )
  }
}

/** A certificate with its private key cannot be opened, or cannot be used for key rings. */
export class CertificateUnusable extends KeyturnError {
  constructor(message: string) {
    super('certificate_unusable', message)
  }
}

export type PayloadCode =
  | 'payload_foreign'
  | 'payload_version'
  | 'payload_key_unknown'
  | 'payload_key_unusable'
  | 'payload_key_revoked'
  | 'payload_invalid'
  | 'payload_expired'

/** A protected payload was refused. */
export class PayloadRefused extends KeyturnError {
  constructor(code: PayloadCode, message: string) {
    super(code, message)
  }
}
