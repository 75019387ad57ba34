import { KekMissing, KeyturnError } from '../errors.ts'

/** Errors of the secret of a deployment and of the issuers that its records belong to. */

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
