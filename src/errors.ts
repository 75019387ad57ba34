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

/**
 * The key-encryption key of the deployment's newest secret is missing, while an earlier secret
 * opens.
 */
export class DeploymentSecretDisplaced extends KekMissing {
  /**
   * @param newest generation of the newest record @param earlier generation of the record that
   * opens
   */
  constructor(newest: number, earlier: number) {
    super(
      `The secret of the deployment has a newer record (generation ${newest} of ring deployment) under a ` +
        `key-encryption key that this node does not have, although generation ${earlier} opens. If another ` +
        'node gave that one up, add the key-encryption key that it has since ' +
        '(see seal.*). If nobody did, somebody who writes the key store put the record there: delete it, ' +
        'and find out who. Giving up the newer one is refused while an earlier one opens, because it ' +
        'would make genuine whatever else that person wrote.',
    )
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

/** The secret that authenticates stored records is missing, while such records exist. */
export class DeploymentSecretMissing extends KeyturnError {
  constructor() {
    super(
      'deployment_secret_missing',
      'The key store has keys or events and no secret of the deployment (ring deployment), without ' +
        'which nobody can tell genuine events from forged ones. Nothing is made in its place. ' +
        'Restore its record from a backup, or start a node that still knows it.',
    )
  }
}

/** Another secret took the place of the one that this server opened at its start. */
export class DeploymentSecretReplaced extends KeyturnError {
  constructor(kid: string) {
    super(
      'deployment_secret_replaced',
      `The secret of the deployment was replaced in the key store by ${kid} while this server ran. ` +
        'The keys in use stay in use. If the old one was given up, restart ' +
        'this node; otherwise somebody who writes the store did it.',
    )
  }
}

/** An issuer was renamed, and its keys, people and clients belong to the new URL. */
export class IssuerRenamed extends KeyturnError {
  readonly issuer: string
  /** The issuer's present URL. */
  readonly renamedTo: string

  constructor(issuer: string, renamedTo: string) {
    super(
      'issuer_renamed',
      `The issuer ${issuer} was renamed to ${renamedTo}, which has its keys, people and clients. Configure ` +
        `${renamedTo}, or give it its former name back.`,
    )
    this.issuer = issuer
    this.renamedTo = renamedTo
  }
}

/** The stores have records of other issuers, and none of those that are configured. */
export class IssuerChanged extends KeyturnError {
  readonly configured: readonly string[]
  readonly known: readonly string[]

  constructor(configured: readonly string[], known: readonly string[]) {
    super(
      'issuer_changed',
      `The keys, people and clients here belong to ${known.join(', ')}, and the configuration names ` +
        `${configured.join(', ')}, of which nothing is here. Nothing was made or signed. Either set issuer ` +
        'back; or rename the issuer, which gives all of it the new name; or name both in the configuration; ' +
        'or name another database, where this is the wrong one (database.url).',
    )
    this.configured = configured
    this.known = known
  }
}

/** Records of a version that knew of one issuer only, and several that they may belong to. */
export class IssuerUnknown extends KeyturnError {
  constructor(configured: readonly string[]) {
    super(
      'issuer_unknown',
      'The keys, people and clients here were written when Keyturn knew of one issuer only, and nobody can ' +
        `tell to which of ${configured.join(', ')} they belong. Start once with that one alone ` +
        '(issuer), which makes them its own, and then with all of them.',
    )
  }
}

/**
 * A witness was not written by Keyturn, or is truncated or edited. The witness is never replaced.
 */
export class WitnessUnreadable extends KeyturnError {
  constructor(where: string, why: string, cause?: unknown) {
    super(
      'witness_unreadable',
      `The witness (rotation.witness), ${where}, cannot be believed: ${why}. It is kept and not ` +
        'replaced, because it may remember revocations that the key store has lost. Look at it. If the ' +
        'key store was not restored from a backup lately, remove it and the next start begins another.',
      cause,
    )
  }
}

/** The witness remembers another deployment than the one in the key store. */
export class WitnessOfAnother extends KeyturnError {
  constructor(where: string, issuer: string | null) {
    super(
      'witness_of_another',
      `The witness (rotation.witness), ${where}, is of another deployment, which issued as ` +
        `${issuer ?? 'nobody knows whom'}. Nothing was made or signed. Either database.url or keyStore names ` +
        'the wrong store, or two deployments share one witness: give this one a rotation.witness of its own. ' +
        'Where this store is to replace that one for good, remove the witness.',
    )
  }
}

/** The key store lacks what the witness remembers: it was set back to an older state. */
export class StoreOutdated extends KeyturnError {
  /** @param lack in words */
  constructor(lack: string, where: string) {
    super(
      'store_outdated',
      `The key store is older than what was seen of it: it lacks ${lack}. It was probably restored from a ` +
        `backup. Nothing was made or signed. The witness (rotation.witness) is ${where}. ` +
        'There are three ways out: apply what is missing; accept the older store, so that keys revoked since ' +
        'are trusted again; or stop here, and restore a newer backup or the right database.',
    )
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

/**
 * An export of another system cannot be imported, because it is damaged, too weak, sealed, or of no
 * use here. The codes are listed in `import/refusal.ts`. The error never has a cause, because
 * parsers quote what they read.
 */
export class ImportRefused extends KeyturnError {}

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
    super('kid_taken', { kid }, `Key ${kid} is stored already.`)
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

/** The worker processes do not start, or die again and again. */
export class WorkersFailed extends KeyturnError {
  constructor(message: string) {
    super('workers_failed', message)
  }
}
