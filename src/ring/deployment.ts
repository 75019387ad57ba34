import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import type { Clock } from '../clock.ts'
import { KekMissing, SealBroken, StoreUnavailable } from '../errors.ts'
import { COOKIE_ALGORITHM } from './algorithms.ts'
import { type BoundNames, boundName } from './bound-names.ts'
import { DeploymentSecretDisplaced, DeploymentSecretMissing } from './deployment-errors.ts'
import { generateKey } from './generate.ts'
import type { KeyStore, SerializedKey, StoredRings } from './key-store.ts'
import type { KeySealer } from './seal.ts'

/**
 * The random secret of the deployment, from which every key is derived that authenticates stored
 * records: events of the rings, sessions, tokens, clients, accounts. All issuers share it. The
 * secret is kept in the key store and sealed like a signing key, so a new key-encryption key does
 * not change it, and a key-encryption key in a hardware token has to derive nothing.
 */
export interface DeploymentSecret extends IssuerSecret {
  /**
   * Names that records of issuers are bound to, if not to the URL. Undefined if a version with a
   * single issuer wrote the record: all records then belong to that issuer.
   */
  readonly names: BoundNames | undefined
  /**
   * The secret that authenticates the records of one issuer and of no other.
   * @throws IssuerRenamed if the records of this name belong to another issuer now
   */
  of(issuer: string): IssuerSecret
}

/** The secret for the records of one issuer: those of another fail every check. */
export interface IssuerSecret {
  /** The name that the issuer's records are bound to; empty for a version with a single issuer. */
  readonly boundTo: string
  /** RFC 7638 thumbprint of the secret of the deployment. */
  readonly kid: string
  /** The stored record, so that a store that has lost it gets it back. */
  readonly record: SerializedKey
  /** kids of secrets that were given up. Records under them are ignored, without a warning. */
  readonly former: readonly string[]
  /**
   * A key of 256 bits for one purpose, by HKDF with SHA-256 (RFC 5869).
   * @param purpose such as `events`; different purposes have independent keys
   */
  key(purpose: string): KeyObject
}

/** The place of the secret in a key store; no ring of signing keys has this name. */
export const DEPLOYMENT_RING = 'deployment'

const KEY_BYTES = 32

/**
 * Opens the secret of the deployment, and seals it under the newest key-encryption key if it is
 * sealed under an older one. A key store without any key or event gets a secret; if several nodes
 * start at once, all of them use the one that was stored first.
 * @throws DeploymentSecretMissing, KekMissing, SealBroken
 */
export async function openDeployment(
  store: KeyStore,
  sealer: KeySealer,
  clock: Pick<Clock, 'now'>,
): Promise<DeploymentSecret> {
  const stored = await store.load()
  const found = await findDeployment(stored, sealer)
  return found
    ? sealUnderNewest(found, store, sealer)
    : makeDeployment(stored, { store, sealer, clock })
}

/** Writes other names into the sealed record of the secret. @throws StoreUnavailable */
export async function nameIssuers(
  deployment: DeploymentSecret,
  names: BoundNames,
  { store, sealer }: { readonly store: KeyStore; readonly sealer: KeySealer },
): Promise<DeploymentSecret> {
  const record = await sealAgain(deployment.record, names, sealer)
  await store.eraseKey(record)
  return deploymentNamed({ ...deployment, record }, names, sealer)
}

/** The secret with other names, which are not in its record yet. */
export async function deploymentNamed(
  { kid, former, record }: DeploymentSecret,
  names: BoundNames,
  sealer: KeySealer,
): Promise<DeploymentSecret> {
  return deploymentOf({ kid, former, record, names }, await secretIn(record, sealer))
}

/**
 * The secret in a store, undefined if the store has neither keys nor events. Writes nothing.
 *
 * Of several records the highest generation counts, because a secret that was given up stays given
 * up. A record that is no seal at all is ignored, because anybody with write access to the store
 * can add one.
 * @throws DeploymentSecretMissing if the store has keys or events but no secret
 * @throws DeploymentSecretDisplaced, KekMissing; SealBroken if no record opens
 */
export async function findDeployment(
  stored: StoredRings,
  sealer: KeySealer,
): Promise<DeploymentSecret | undefined> {
  const records = stored.keys.filter(isDeploymentRecord)
  if (records.length > 0) return openNewest(records, sealer)
  if (stored.keys.length + stored.events.length > 0) throw new DeploymentSecretMissing()
  return undefined
}

/**
 * Makes a secret: the first one, or one that replaces those in the store. If another process makes
 * a secret at the same moment, that one may count instead.
 * @param stored everything in the store
 */
export async function makeDeployment(
  stored: StoredRings,
  { store, sealer, clock, prepare }: MakeOptions,
): Promise<DeploymentSecret> {
  const before = stored.keys.filter(isDeploymentRecord)
  const generation = 1 + Math.max(0, ...before.map((record) => record.generation))
  const { kid, jwk } = await generateKey(COOKIE_ALGORITHM)
  const now = clock.now()
  const life = { createdAt: now, activatesAt: now, retention: 0 }
  const place = { kid, ring: DEPLOYMENT_RING, generation, algorithm: COOKIE_ALGORITHM }
  const own = await sealer.seal({ ...place, ...life }, jwk, { issuers: {} })
  await prepare?.(await openNewest([...before, own], sealer))
  const made = await store.addKey(own)
  const secret = await openNewest([...before, made], sealer)
  if (made.id !== own.id) await prepare?.(secret)
  return secret
}

export interface MakeOptions {
  readonly store: KeyStore
  readonly sealer: KeySealer
  readonly clock: Pick<Clock, 'now'>
  /**
   * Prepares for a secret before it counts, once for each secret that may count, because nobody can
   * tell from the store whether this was done. Safe to do twice.
   */
  readonly prepare?: (secret: DeploymentSecret) => Promise<unknown>
}

/** True for the secret of a deployment, false for a key of a ring. */
export function isDeploymentRecord({ ring }: Pick<SerializedKey, 'ring'>): boolean {
  return ring === DEPLOYMENT_RING
}

/** @param secret 256 random bits */
export function deploymentOf(
  { names, ...fields }: Pick<DeploymentSecret, 'kid' | 'record' | 'former' | 'names'>,
  secret: KeyObject,
): DeploymentSecret {
  const whole = issuerSecret(fields, '', secret)
  return {
    ...whole,
    names,
    of: (issuer) => {
      const name = names === undefined ? '' : boundName(names, issuer)
      if (name === '') return whole
      return issuerSecret(fields, name, derive(secret, `issuer/${name}`))
    },
  }
}

function issuerSecret(
  fields: Pick<IssuerSecret, 'kid' | 'record' | 'former'>,
  boundTo: string,
  secret: KeyObject,
): IssuerSecret {
  return { ...fields, boundTo, key: (purpose) => derive(secret, purpose) }
}

function derive(secret: KeyObject, purpose: string): KeyObject {
  return createSecretKey(
    Buffer.from(hkdfSync('sha256', secret, '', `keyturn/${purpose}`, KEY_BYTES)),
  )
}

/**
 * Seals the secret anew, because an old key-encryption key can be removed once nothing is sealed
 * under it. If the store cannot be written now, the next start tries again.
 */
async function sealUnderNewest(
  deployment: DeploymentSecret,
  store: KeyStore,
  sealer: KeySealer,
): Promise<DeploymentSecret> {
  const { key } = await sealer.open(deployment.record)
  if (key.protectedBy === sealer.newest()) return deployment
  const record = await sealAgain(deployment.record, deployment.names, sealer)
  try {
    await store.eraseKey(record)
    return { ...deployment, record }
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    return deployment
  }
}

async function sealAgain(
  record: SerializedKey,
  names: BoundNames | undefined,
  sealer: KeySealer,
): Promise<SerializedKey> {
  const { key } = await sealer.open(record)
  const secret = await secretIn(record, sealer)
  // Node's type of a JWK only lacks what jose's has.
  return sealer.seal(key, secret.export({ format: 'jwk' }) as JWK, names && { issuers: names })
}

/** @throws SealBroken if the record is not a secret, and what `open` throws */
async function secretIn(record: SerializedKey, sealer: KeySealer): Promise<KeyObject> {
  const { secret } = (await sealer.open(record)).key
  if (secret) return secret
  throw new SealBroken(record.id, 'it is not the secret of a deployment')
}

async function openNewest(
  records: readonly SerializedKey[],
  sealer: KeySealer,
): Promise<DeploymentSecret> {
  let failure: unknown
  let missing: { readonly generation: number; readonly error: KekMissing } | undefined
  for (const record of records.toSorted((a, b) => b.generation - a.generation)) {
    try {
      const { key, issuers: names } = await sealer.open(record)
      const secret = await secretIn(record, sealer)
      // The record that does not open for lack of a key-encryption key may be the one that counts.
      if (missing) throw new DeploymentSecretDisplaced(missing.generation, record.generation)
      // A file may be a copy of the secret with the same id, which must not count as a former
      // secret.
      const { kid } = key
      const former = records.flatMap(({ id }) => (id === kid ? [] : id))
      return deploymentOf({ kid, record, former, names }, secret)
    } catch (error) {
      if (error instanceof DeploymentSecretDisplaced) throw error
      if (error instanceof KekMissing) missing ??= { generation: record.generation, error }
      else if (!(error instanceof SealBroken)) throw error
      failure ??= error
    }
  }
  throw missing?.error ?? failure
}
