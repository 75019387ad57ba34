import { KeyturnError } from '../errors.ts'

/** Errors of the witness, which remembers what the key store must not lose. */

/**
 * A witness was not written by Keyturn, or is truncated or edited. The witness is never replaced.
 */
export class WitnessUnreadable extends KeyturnError {
  constructor(where: string, why: string, cause?: unknown) {
    super(
      'witness_unreadable',
      `The witness (rotation.witness), ${where}, cannot be trusted: ${why}. It is kept and not ` +
        'replaced, because it may remember revocations that the key store has lost. Examine it. If the ' +
        'key store was not restored from a backup recently, remove the witness; the next start makes a new one.',
      cause,
    )
  }
}

/** The witness remembers another deployment than the one in the key store. */
export class WitnessOfAnother extends KeyturnError {
  constructor(where: string, issuer: string | null) {
    super(
      'witness_of_another',
      `The witness (rotation.witness), ${where}, belongs to another deployment, whose issuer was ` +
        `${issuer ?? 'not recorded'}. Nothing was made or signed. If database.url or keyStore names the wrong ` +
        'store, correct it. If two deployments share one witness, give this one a rotation.witness of its own. ' +
        'If this key store replaces the other one for good, remove the witness.',
    )
  }
}

/** The key store lacks what the witness remembers: it was set back to an older state. */
export class StoreOutdated extends KeyturnError {
  /** @param lack description of the missing records */
  constructor(lack: string, where: string) {
    super(
      'store_outdated',
      `The key store is older than the witness remembers: it lacks ${lack}. It was probably restored from a ` +
        `backup. Nothing was made or signed. The witness (rotation.witness) is ${where}. ` +
        'There are three ways out: apply the missing events; accept the older store, so that keys revoked ' +
        'since are trusted again; or stop here, and restore a newer backup or the right database.',
    )
  }
}
