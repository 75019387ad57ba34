import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import type { Clock } from '../clock.ts'
import { DeploymentSecretMissing, SealBroken, StoreUnavailable } from '../errors.ts'
import { generateKey } from './generate.ts'
import type { KeyStore, SerializedKey, StoredRings } from './key-store.ts'
import { COOKIE_ALGORITHM } from './policy.ts'
import type { KeySealer } from './seal.ts'

/**
 * One random secret of the deployment, from which the keys come that authenticate what the stores
 * hold: events of the rings, sessions, tokens, clients, accounts. The secret is kept in the key store
 * and sealed like a signing key, so a new key-encryption key changes nothing for it, and a
 * key-encryption key in a hardware token has to derive nothing.
 */
export interface DeploymentSecret {
  /** Names the secret: its RFC 7638 thumbprint. */
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
 * Opens the secret of the deployment. A key store without any key or event gets one: of nodes that
 * start at once, the first one's is everybody's.
 *
 * Where there are several records, the highest generation counts: what was given up stays given up. A
 * record that is no seal at all, which anybody who writes the store can add, takes the place of none.
 * @throws DeploymentSecretMissing where the store has keys or events, and no secret
 * @throws KekMissing; SealBroken where no record opens
 */
export async function openDeployment(
  store: KeyStore,
  sealer: KeySealer,
  clock: Pick<Clock, 'now'>,
): Promise<DeploymentSecret> {
  const stored = await store.load()
  const records = deploymentRecords(stored)
  if (records.length > 0) return keepNewest(await openNewest(records, sealer), store, sealer)
  if (stored.keys.length + stored.events.length > 0) throw new DeploymentSecretMissing()
  return openNewest([await store.addKey(await sealNew(sealer, 1, clock))], sealer)
}

/**
 * Seals the secret under the newest key-encryption key, so that an old one may go once no key needs it.
 * A store that takes nothing now takes it at a later start.
 */
async function keepNewest(
  opened: OpenedSecret,
  store: KeyStore,
  sealer: KeySealer,
): Promise<DeploymentSecret> {
  const { secret, record } = opened
  if (opened.protectedBy === sealer.newest()) return opened
  const { id: kid, created: createdAt, ...rest } = record
  const resealed = await sealer.seal(
    { ...rest, kid, createdAt },
    secret.export({ format: 'jwk' }) as JWK,
  )
  await store.eraseKey(resealed).catch((error: unknown) => {
    if (!(error instanceof StoreUnavailable)) throw error
  })
  return opened
}

/** @param generation 1, or one more than that of a secret which is given up for lost */
export async function sealNew(
  sealer: KeySealer,
  generation: number,
  clock: Pick<Clock, 'now'>,
): Promise<SerializedKey> {
  const { kid, jwk } = await generateKey(COOKIE_ALGORITHM)
  const now = clock.now()
  const life = { createdAt: now, activatesAt: now, retention: 0 }
  const place = { kid, ring: DEPLOYMENT_RING, generation, algorithm: COOKIE_ALGORITHM }
  return sealer.seal({ ...place, ...life }, jwk)
}

/** The records of secrets: the newest that opens counts. */
export function deploymentRecords({ keys }: StoredRings): readonly SerializedKey[] {
  return keys.filter(isDeploymentRecord)
}

/** Is it the secret of a deployment, and no key of a ring? */
export function isDeploymentRecord({ ring }: Pick<SerializedKey, 'ring'>): boolean {
  return ring === DEPLOYMENT_RING
}

async function openNewest(
  records: readonly SerializedKey[],
  sealer: KeySealer,
): Promise<OpenedSecret> {
  let failure: unknown
  for (const record of records.toSorted((a, b) => b.generation - a.generation)) {
    try {
      const { kid, privateKey: secret, protectedBy } = (await sealer.open(record)).key
      if (secret?.type === 'secret') {
        const former = records.flatMap((each) => (each === record ? [] : each.id))
        return { ...deploymentOf(kid, secret, record), former, secret, protectedBy }
      }
      throw new SealBroken(record.id, 'it is no secret of a deployment')
    } catch (error) {
      // One under a key-encryption key that this node lacks may be what counts now.
      if (!(error instanceof SealBroken)) throw error
      failure ??= error
    }
  }
  throw failure
}

interface OpenedSecret extends DeploymentSecret {
  readonly secret: KeyObject
  readonly protectedBy: string | null
}

export function deploymentOf(
  kid: string,
  secret: KeyObject,
  record: SerializedKey,
): DeploymentSecret {
  return {
    kid,
    record,
    former: [],
    key: (purpose) =>
      createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `keyturn/${purpose}`, KEY_BYTES))),
  }
}
