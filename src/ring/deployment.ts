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
 * One random secret of the deployment, from which the keys come that authenticate what the stores
 * hold: events of the rings, sessions, tokens, clients, accounts. The secret is kept in the key store
 * and sealed like a signing key, so a new key-encryption key changes nothing for it, and a
 * key-encryption key in a hardware token has to derive nothing. All issuers share it.
 */
export interface DeploymentSecret extends IssuerSecret {
  /**
   * What records of issuers are bound to, where that is not their URL. Undefined where a version wrote
   * the record that knew of one issuer only: all that there is belongs to that one.
   */
  readonly names: BoundNames | undefined
  /**
   * What authenticates the records of one issuer and of no other.
   * @throws IssuerRenamed where the records of this name are another issuer's by now
   */
  of(issuer: string): IssuerSecret
}

/** The secret for the records of one issuer: those of another fail every check. */
export interface IssuerSecret {
  /** The name that its records bind; empty for those of a deployment that knew of one issuer only. */
  readonly boundTo: string
  /** Names the secret of the deployment: its RFC 7638 thumbprint. */
  readonly kid: string
  /** As the store keeps it, so that a store that lost the record gets it back. */
  readonly record: SerializedKey
  /** kids of secrets that were given up; what they authenticated is no longer believed, nor told of. */
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
 * Opens the secret of the deployment, and seals it under the newest key-encryption key where it is under
 * an older one. A key store without any key or event gets a secret: of nodes that start at once, the
 * first one's is everybody's.
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

/**
 * Writes other names into the record of the secret, where its seal protects them.
 * @throws StoreUnavailable
 */
export async function nameIssuers(
  deployment: DeploymentSecret,
  names: BoundNames,
  { store, sealer }: { readonly store: KeyStore; readonly sealer: KeySealer },
): Promise<DeploymentSecret> {
  const record = await sealAgain(deployment.record, names, sealer)
  await store.eraseKey(record)
  return deploymentNamed({ ...deployment, record }, names, sealer)
}

/** The secret with other names, of which its record says nothing yet. */
export async function deploymentNamed(
  { kid, former, record }: DeploymentSecret,
  names: BoundNames,
  sealer: KeySealer,
): Promise<DeploymentSecret> {
  return deploymentOf({ kid, former, record, names }, await secretIn(record, sealer))
}

/**
 * The secret that a store has; undefined where it has neither keys nor events. Writes nothing.
 *
 * Where there are several records, the highest generation counts: what was given up stays given up. A
 * record that is no seal at all, which anybody who writes the store can add, takes the place of none.
 * @throws DeploymentSecretMissing where the store has keys or events, and no secret
 * @throws DeploymentSecretDisplaced, KekMissing; SealBroken where no record opens
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
 * Makes a secret, the first one or one that counts in the place of those in the store. Where another
 * process makes one at the same moment, that one may count.
 * @param stored what the store holds
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
   * Does what has to be done before a secret counts, for each that may: once it is in the store, nobody
   * can tell any more whether this was done. Safe to do twice.
   */
  readonly prepare?: (secret: DeploymentSecret) => Promise<unknown>
}

/** Is it the secret of a deployment, and no key of a ring? */
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
 * An old key-encryption key may go once nothing is sealed under it. A store that takes nothing now takes
 * the new seal at a later start.
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

/** The same secret in another seal. */
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

/** @throws SealBroken where it is none, and what does not open it */
async function secretIn(record: SerializedKey, sealer: KeySealer): Promise<KeyObject> {
  const { secret } = (await sealer.open(record)).key
  if (secret) return secret
  throw new SealBroken(record.id, 'it is no secret of a deployment')
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
      // The record under a key-encryption key that this node lacks may be what counts now.
      if (missing) throw new DeploymentSecretDisplaced(missing.generation, record.generation)
      // A file may be a copy with the id of the secret itself, which would make all events former ones.
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
