import { KekMissing, KeyturnError } from '../errors.ts'

/** Errors of the secret of a deployment and of the issuers that its records belong to. */

/**
 * The key-encryption key of the deployment's newest secret is missing, while an earlier secret
 * opens.
 */
export class DeploymentSecretDisplaced extends KekMissing {
  /**
   * @param newest generation of the newest record
   * @param earlier generation of the record that opens
   */
  constructor(newest: number, earlier: number) {
    super(
      `The secret of the deployment has a newer record (generation ${newest} of ring deployment) under a ` +
        `key-encryption key that this node does not have, although generation ${earlier} opens. If an operator ` +
        `gave up generation ${earlier} on another node, add that node's new key-encryption key here ` +
        '(see seal.*). Otherwise somebody with write access to the key store added the record: delete it, ' +
        'and find out who did it. The newer secret cannot be given up while an earlier one opens, because ' +
        'everything else that this person wrote would then count as genuine.',
    )
  }
}

/** The secret that authenticates stored records is missing, while such records exist. */
export class DeploymentSecretMissing extends KeyturnError {
  constructor() {
    super(
      'deployment_secret_missing',
      'The key store has keys or events, but the secret of the deployment (ring deployment) is missing. ' +
        'Without it genuine events cannot be told from forged ones, and no new secret is made. ' +
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
        'The keys in use stay in use. If an operator gave up the old secret, restart this node; ' +
        'otherwise somebody with write access to the key store replaced it: find out who did it.',
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

/** The stores have records of other issuers, but none of the configured issuers. */
export class IssuerChanged extends KeyturnError {
  readonly configured: readonly string[]
  readonly known: readonly string[]

  constructor(configured: readonly string[], known: readonly string[]) {
    super(
      'issuer_changed',
      `The stored keys, people and clients belong to ${known.join(', ')}, and none to ` +
        `${configured.join(', ')}, as configured. Nothing was made or signed. Set issuer back; or rename the ` +
        'issuer, which keeps all of its records; or configure both issuers; or, if this is the wrong ' +
        'database, correct database.url.',
    )
    this.configured = configured
    this.known = known
  }
}

/**
 * The stores have records of a version with a single issuer, and several configured issuers may own
 * them.
 */
export class IssuerUnknown extends KeyturnError {
  constructor(configured: readonly string[]) {
    super(
      'issuer_unknown',
      'The stored keys, people and clients are from a version with a single issuer, and may belong to any ' +
        `of ${configured.join(', ')}. Start once with only their issuer configured (issuer), which makes ` +
        'them its own, and then with all issuers.',
    )
  }
}
