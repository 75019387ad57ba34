import type { SituationCode, Situations } from './situations.ts'

/**
 * Base of all errors: a class for each situation that an operator treats differently. `code` is
 * stable and safe to show, `message` says what was attempted and how to mend it, `cause` keeps the
 * original. No message contains key material, tokens, cookies or passwords.
 */
export class KeyturnError extends Error {
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.code = code
  }
}

/** A problem of the configuration, in the shape of `config check --json`. */
export interface Violation {
  /** Dotted path of the setting, such as `rotation.propagation`. */
  readonly path: string
  /** Present value; secrets are shown as `***`. */
  readonly value: unknown
  /** Stable name of the broken rule. */
  readonly rule: string
  readonly message: string
  /** The smallest change that mends the problem. */
  readonly fix: string
}

/** Lists violations for messages, each with its fix on a line of its own. */
export function listed(violations: readonly Violation[]): string {
  return violations.map((v) => `  ${v.path}: ${v.message}\n    fix: ${v.fix}`).join('\n')
}

export class ConfigInvalid extends KeyturnError {
  readonly violations: readonly Violation[]

  constructor(violations: readonly Violation[]) {
    super(
      'config_invalid',
      `The configuration has ${violations.length} problem(s):\n${listed(violations)}`,
    )
    this.violations = violations
  }
}

/** A policy of key rings under which a token could stop verifying before it expires. */
export class PolicyUnsafe extends KeyturnError {
  /** Every bound that is broken (`BrokenBound` of `ring/bounds.ts`). */
  readonly broken: readonly { readonly bound: string; readonly message: string }[]

  constructor(broken: readonly { readonly bound: string; readonly message: string }[]) {
    const lines = broken.map(({ bound, message }) => `  ${bound}: ${message}`)
    super('policy_unsafe', `The policy is unsafe:\n${lines.join('\n')}`)
    this.broken = broken
  }
}

/**
 * The node may not sign with a key, because its ring is older than `maxRingAge`, its clock is
 * wrong, or the key was revoked or has retired meanwhile.
 */
export class RingStale extends KeyturnError {
  constructor(message: string) {
    super('ring_stale', message)
  }
}

/** The node's clock differs from the database's by more than `rotation.clockSkew`. */
export class ClockWrong extends KeyturnError {
  /** @param offset seconds that this node's clock is ahead */
  constructor(offset: number) {
    const seconds = Math.abs(offset).toFixed(1)
    super(
      'clock_wrong',
      `The clock of this node is ${seconds} s ${offset > 0 ? 'ahead of' : 'behind'} that of the ` +
        'database, more than rotation.clockSkew. The node signs nothing until the wrong clock is corrected.',
    )
  }
}

export class NoActiveKey extends KeyturnError {
  constructor(ring: string) {
    super('no_active_key', `Ring ${ring} has no active key to sign with.`)
  }
}

/** A key cannot be opened: an edited field, a damaged seal, or content that is not a key. */
export class SealBroken extends KeyturnError {
  readonly kid: string

  constructor(kid: string, detail: string, cause?: unknown) {
    super(
      'seal_broken',
      `Key ${kid} does not open: ${detail}. It is kept and not replaced. Restore its record from a ` +
        'backup, or revoke the key, which gives it up.',
      cause,
    )
    this.kid = kid
  }
}

/** Keys are sealed under a key-encryption key that this node does not have. */
export class KekMissing extends KeyturnError {
  /** True if only the missing key-encryption key opens some keys. */
  readonly isNeeded: boolean

  constructor(message: string, { isNeeded = false } = {}) {
    super('kek_missing', message)
    this.isNeeded = isNeeded
  }
}

/** The file or setting of the key-encryption key is empty. */
export class KekEmpty extends KeyturnError {
  constructor(message: string) {
    super('kek_empty', message)
  }
}

/** The key-encryption key exists but cannot be read or parsed. */
export class KekUnreadable extends KeyturnError {
  constructor(message: string, cause?: unknown) {
    super('kek_unreadable', message, cause)
  }
}

/** A stored record was not written by Keyturn, or is half-written or truncated. */
export class StoreUnreadable extends KeyturnError {
  constructor(message: string, cause?: unknown) {
    super('store_unreadable', message, cause)
  }
}

/** Events that other records name are gone: the store was set back, or somebody deleted them. */
export class StoreIncomplete extends KeyturnError {
  /** Ids of the records. */
  readonly missing: readonly string[]

  constructor(missing: readonly string[]) {
    super(
      'store_incomplete',
      `The key store lacks ${missing.length} event(s) that newer records name: ` +
        `${missing.join(', ')}. The store was set back to an older state, or somebody deleted them, ` +
        'and one may be a revocation. Nothing is signed from it. Let a node that still runs put them ' +
        'back, restore a newer backup, or give them up.',
    )
    this.missing = missing
  }
}

/** The store cannot be reached or written: connection refused, read-only, disk full. */
export class StoreUnavailable extends KeyturnError {
  /** True if the answer was lost, so that the write may have happened or may happen later. */
  readonly mayBeDone: boolean

  constructor(message: string, cause?: unknown, { mayBeDone = false } = {}) {
    super('store_unavailable', message, cause)
    this.mayBeDone = mayBeDone
  }
}

/**
 * An operator's order may or may not have been recorded, because the answer of the store was lost.
 */
export class OrderInDoubt extends KeyturnError {
  constructor(cause: StoreUnavailable) {
    super('order_in_doubt', `${cause.message} To give the order twice does no harm.`, cause)
  }
}

/** An operator named something that does not exist: a kid, a ring, a client, an account. */
export class NotFound<C extends SituationCode = SituationCode> extends KeyturnError {
  declare readonly code: C
  readonly details: Situations[C]

  constructor(code: C, details: Situations[C], message: string) {
    super(code, message)
    this.details = details
  }
}

/**
 * An operator's request is understood and refused; `code` and `details` give the reason as data.
 */
export class Refused<C extends SituationCode = SituationCode> extends KeyturnError {
  declare readonly code: C
  readonly details: Situations[C]

  constructor(code: C, details: Situations[C], message: string) {
    super(code, message)
    this.details = details
  }
}

/**
 * An export of another system cannot be imported, because it is damaged, too weak, sealed, or of no
 * use here. The codes are listed in `import/refusal.ts`. The error never has a cause, because
 * parsers quote what they read.
 */
export class ImportRefused extends KeyturnError {
  /**
   * True if no relying party misses the key, because the old system does not publish it either.
   */
  readonly isHarmless: boolean

  constructor(code: string, message: string, { isHarmless = false } = {}) {
    super(code, message)
    this.isHarmless = isHarmless
  }
}

/** An import would lose keys that the old system may publish. */
export class ImportIncomplete extends KeyturnError {
  readonly lost: readonly { readonly name: string; readonly code: string }[]

  /** @param lost what would be lost; if all have the same code, it is that of the error, too */
  constructor(lost: readonly { readonly name: string; readonly code: string }[], message: string) {
    const [first, ...others] = new Set(lost.map(({ code }) => code))
    super(first !== undefined && others.length === 0 ? first : 'import_incomplete', message)
    this.lost = lost
  }
}

/** The metadata of a client are invalid. */
export class ClientInvalid extends Refused<'client_invalid'> {
  readonly violations: readonly Violation[]

  constructor(violations: readonly Violation[]) {
    const problems = `${violations.length} problem${violations.length === 1 ? '' : 's'}`
    const message = `The client is refused, with ${problems}:\n${listed(violations)}`
    super('client_invalid', { violations }, message)
    this.violations = violations
  }
}

/** The key store already has a key of this kid elsewhere. */
export class KidTaken extends Refused<'kid_taken'> {
  constructor(kid: string) {
    const message =
      `Key ${kid} is stored already, perhaps by another process meanwhile. Nothing was added. Look again, and ` +
      'do it again.'
    super('kid_taken', { kid }, message)
  }
}

/** Another key has the place of one that is to be added. */
export class PlaceTaken extends Refused<'place_taken'> {
  constructor(ring: string, generation: number) {
    const message =
      `Generation ${generation} of ring ${ring} was made by somebody else meanwhile. Nothing was added. ` +
      'Look again, and do it again.'
    super('place_taken', { ring, generation }, message)
  }
}
