import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { KnownIssuers } from '../database/known-issuers.ts'
import { IssuerChanged, IssuerUnknown, StoreUnavailable, StoreUnreadable } from '../errors.ts'
import { deploymentNamed, nameIssuers } from '../ring/deployment.ts'
import { type KeyStores, wholeStore } from '../ring/key-stores.ts'
import { openSecrets, type Protector, type Secrets } from '../ring/protector.ts'

/** To whom what the stores keep belongs, and whether that is who is configured. */

/** The issuers that a configuration names. */
export function configuredIssuers({ issuers }: Pick<Config, 'issuers'>): readonly string[] {
  return issuers.map(({ issuer }) => issuer)
}

/** Where records of issuers are. */
export interface IssuerPlaces {
  readonly known: KnownIssuers
  readonly keyStores: KeyStores
}

/** All issuers of which the stores have anything, in order. */
export async function issuersOf({ known, keyStores }: IssuerPlaces): Promise<readonly string[]> {
  return [...new Set([...(await known.list()), ...(await keyStores.issuers())])].toSorted()
}

/**
 * Gives what a version kept that knew of one issuer only to the one that is configured, and sees that what
 * is kept belongs to somebody who is configured.
 * @throws IssuerUnknown where several are configured; IssuerChanged where all that there is is of others
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

/** The same without refusing anything. */
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
 * Opens what all issuers share to seal and authenticate their records. A secret of a version that knew of
 * one issuer only is told whose records it made, so that they are nobody else's.
 * @throws KekMissing and its like, DeploymentSecretMissing; StoreUnreadable where that cannot be told
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
    // A store that takes nothing now takes the names at a later start.
    if (!(error instanceof StoreUnavailable)) throw error
    return { keys, deployment: await deploymentNamed(deployment, names, keys) }
  }
}
