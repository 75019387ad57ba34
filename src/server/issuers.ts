import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { KnownIssuers } from '../database/known-issuers.ts'
import { StoreUnavailable, StoreUnreadable } from '../errors.ts'
import { deploymentNamed, nameIssuers } from '../ring/deployment.ts'
import { IssuerChanged, IssuerUnknown } from '../ring/deployment-errors.ts'
import { type KeyStores, wholeStore } from '../ring/key-stores.ts'
import { openSecrets, type Protector, type Secrets } from '../ring/protector.ts'

/** Compares the issuers of stored records with the configured ones. */

/** The issuers that a configuration names. */
export function configuredIssuers({ issuers }: Pick<Config, 'issuers'>): readonly string[] {
  return issuers.map(({ issuer }) => issuer)
}

/** Stores with records of issuers. */
export interface IssuerPlaces {
  readonly known: KnownIssuers
  readonly keyStores: KeyStores
}

/** All issuers with records in the stores, in order. */
export async function issuersOf({ known, keyStores }: IssuerPlaces): Promise<readonly string[]> {
  return [...new Set([...(await known.list()), ...(await keyStores.issuers())])].toSorted()
}

/**
 * Gives records without an issuer, from a version that knew only one, to the configured issuer, and
 * makes sure that stored records belong to a configured issuer.
 * @throws IssuerUnknown if several are configured; IssuerChanged if all records belong to others
 */
export async function assertKnown(
  configured: readonly string[],
  places: IssuerPlaces,
): Promise<void> {
  const { known, keyStores } = places
  const [issuer = '', ...others] = configured
  if (await isUnowned(places)) {
    if (others.length > 0) throw new IssuerUnknown(configured)
    await adopt(issuer, places)
    return
  }
  if (await known.hasAnyOf(configured)) return
  const all = await issuersOf(places)
  if (all.length > 0 && !all.some((each) => configured.includes(each))) {
    throw new IssuerChanged(configured, all)
  }
  if (all.length === 0 && others.length === 0) await keyStores.adopt(issuer)
}

/** Like `assertKnown`, without refusing anything. */
export async function adoptUnowned(
  configured: readonly string[],
  places: IssuerPlaces,
): Promise<void> {
  const [issuer, ...others] = configured
  if (issuer === undefined || others.length > 0) return
  if (await isUnowned(places)) await adopt(issuer, places)
}

async function isUnowned({ known, keyStores }: IssuerPlaces): Promise<boolean> {
  return (await known.hasUnowned()) || keyStores.hasUnowned()
}

async function adopt(issuer: string, { known, keyStores }: IssuerPlaces): Promise<void> {
  await known.adopt(issuer)
  await keyStores.adopt(issuer)
}

export interface SecretsOptions extends IssuerPlaces {
  readonly protector: Protector
  readonly clock: Pick<Clock, 'now'>
}

/**
 * Opens the secrets with which all issuers seal and authenticate records. The issuer is added to a
 * secret from a version that knew only one issuer, so that its records belong to no other.
 * @throws KekMissing and similar errors, DeploymentSecretMissing; StoreUnreadable if the issuer is
 * unknown
 */
export async function openSecretsOf(
  configured: readonly string[],
  { protector, clock, ...places }: SecretsOptions,
): Promise<Secrets> {
  const { keyStores } = places
  const secrets = await openSecrets(protector, wholeStore(keyStores), clock)
  const { keys, deployment } = secrets
  if (deployment.names !== undefined) return secrets
  const all = await issuersOf(places)
  const [issuer, ...others] = all.length === 0 ? configured : all
  if (issuer === undefined || others.length > 0) {
    throw new StoreUnreadable(
      'The secret of the deployment was sealed when Keyturn knew of one issuer only, and the stores have ' +
        `records of several: ${all.join(', ')}. Somebody put an older record of ring deployment back. ` +
        'Restore the newer one from a backup.',
    )
  }
  const names = { [issuer]: '' }
  try {
    const to = { store: keyStores.shared, sealer: keys }
    return { keys, deployment: await nameIssuers(deployment, names, to) }
  } catch (error) {
    // A store that cannot be written now gets the names at a later start.
    if (!(error instanceof StoreUnavailable)) throw error
    return { keys, deployment: await deploymentNamed(deployment, names, keys) }
  }
}
