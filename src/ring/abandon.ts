import type { Clock } from '../clock.ts'
import { KekMissing, Refused } from '../errors.ts'
import {
  type DeploymentSecret,
  findDeployment,
  type IssuerSecret,
  isDeploymentRecord,
  makeDeployment,
} from './deployment.ts'
import { DeploymentSecretDisplaced } from './deployment-errors.ts'
import { openEvents } from './event-record.ts'
import { keyEvent } from './key.ts'
import type { KeyStore, SerializedKey, StoredRings } from './key-store.ts'
import { isRevocationOf } from './lifecycle.ts'
import type { Order } from './orders.ts'
import { openKeys, type Protector } from './protector.ts'
import { closedKey } from './ring-key.ts'
import { createRings } from './rings.ts'
import type { KeySealer } from './seal.ts'
import { createDeploymentSealer, type Sealer } from './sealer.ts'

/**
 * Gives up what a key-encryption key that is lost for good protected: keys that do not open are
 * revoked, and new keys start. If the secret of the deployment is lost too, every key is revoked,
 * even one that opens, because a genuine revocation cannot be told from a forged one without the
 * secret.
 */

/** Keys that will be revoked, and whether the secret of the deployment is lost. */
export interface Losses {
  /** Records of the keys that will be revoked. */
  readonly keys: readonly SerializedKey[]
  /** True if the secret of the deployment is lost, and with it everything that it authenticated. */
  readonly isSecretLost: boolean
}

export interface AbandonOptions {
  readonly issuer: string
  readonly store: KeyStore
  readonly protector: Protector
  readonly clock: Pick<Clock, 'now'>
  /**
   * Authenticates everything else that the lost secret authenticated, under the new secret. Safe to
   * do twice.
   */
  readonly authenticateAnew: (secret: DeploymentSecret) => Promise<unknown>
}

/**
 * Finds what would be given up, and changes nothing.
 * @throws Refused if nothing is lost
 * @throws DeploymentSecretDisplaced if an earlier secret opens
 */
export async function findLosses({
  issuer,
  store,
  protector,
}: Pick<AbandonOptions, 'issuer' | 'store' | 'protector'>): Promise<Losses> {
  const stored = await loadAny(store)
  const keys = await openKeys(protector).catch(ifMissing)
  const secret = keys && (await findDeployment(stored, keys).catch(ifMissing))
  return lossesOf(stored, keys, secret?.of(issuer))
}

/**
 * Revokes keys that do not open, under a new secret of the deployment if the old one is lost. The
 * caller turns the rings afterwards. Safe to repeat after an interruption.
 * @returns the losses, and the sealer to use from now on
 * @throws Refused if nothing is lost
 * @throws KekMissing if key-encryption keys come from outside and there is none
 */
export async function abandonLosses(
  { issuer, store, protector, clock, authenticateAnew: prepare }: AbandonOptions,
  order: Order & { readonly now: number },
): Promise<Losses & { readonly sealer: Sealer }> {
  const stored = await loadAny(store)
  const keys = await openKeys(protector).catch(async (error: unknown) => {
    if (!(error instanceof KekMissing && protector.create)) throw error
    await protector.create()
    return openKeys(protector)
  })
  const found = await findDeployment(stored, keys).catch(ifMissing)
  const losses = await lossesOf(stored, keys, found?.of(issuer))
  const secret = found ?? (await makeDeployment(stored, { store, sealer: keys, clock, prepare }))
  const sealer = createDeploymentSealer(keys, secret.of(issuer))
  const rings = createRings({ store, sealer })
  let { heads } = await rings.loadRecorded()
  for (const { id: kid, ring } of losses.keys) {
    const { now: at, actor, reason } = order
    const event = keyEvent({ type: 'revoke', ring, kid, place: null, at, actor, reason })
    const record = { type: 'record', ring, event, reason } as const
    heads = (await rings.apply(record, { keys: [], heads })).heads
  }
  return { ...losses, sealer }
}

/** Loads a store that is not empty, because an empty one has lost nothing. @throws Refused */
async function loadAny(store: KeyStore): Promise<StoredRings> {
  const stored = await store.load()
  if (stored.keys.length + stored.events.length > 0) return stored
  throw new Refused(
    'key_store_empty',
    {},
    'Nothing is given up: the key store is empty. If it should have keys, restore it from a backup; else ' +
      'the first start of the server makes them.',
  )
}

async function lossesOf(
  stored: StoredRings,
  keys: KeySealer | undefined,
  secret: IssuerSecret | undefined,
): Promise<Losses> {
  const records = stored.keys.filter((record) => !isDeploymentRecord(record))
  if (!keys || !secret) return { keys: records, isSecretLost: true }
  const { events } = await openEvents(stored.events, secret)
  const isLost = async (record: SerializedKey) => {
    if (events.some((event) => isRevocationOf(event, closedKey(record)))) return false
    const opened = await keys.open(record).catch(ifMissing)
    // A key of a former secret is lost with that secret, even if an earlier run was interrupted.
    return opened === undefined || secret.former.includes(opened.deployment ?? '')
  }
  const lost = await Promise.all(records.map(isLost))
  if (lost.includes(true)) return { keys: records.filter((_, i) => lost[i]), isSecretLost: false }
  throw new Refused(
    'no_key_lost',
    {},
    'Nothing is given up: the key-encryption keys that this command finds open every key that is not ' +
      'revoked. If a server does not find them, compare its seal.* settings with those of this command.',
  )
}

/**
 * Tolerates a missing key-encryption key only. A damaged key is not lost; `keys revoke` ends it.
 */
function ifMissing(error: unknown): undefined {
  if (error instanceof KekMissing && !(error instanceof DeploymentSecretDisplaced)) return undefined
  throw error
}
