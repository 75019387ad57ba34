import type { Clock } from '../clock.ts'
import { KekMissing, Refused } from '../errors.ts'
import {
  DEPLOYMENT_RING,
  type DeploymentSecret,
  findDeployment,
  isDeploymentRecord,
  makeDeployment,
} from './deployment.ts'
import { openEvents } from './event-record.ts'
import { keyEvent } from './key.ts'
import type { KeyStore, SerializedKey, StoredRings } from './key-store.ts'
import { isRevocationOf } from './lifecycle.ts'
import type { Order } from './operate.ts'
import { openKeys, type Protector } from './protector.ts'
import { loadRecordedRings } from './rotate.ts'
import { closedKey, type KeySealer } from './seal.ts'
import { createDeploymentSealer, type Sealer } from './sealer.ts'

/**
 * The way out where a key-encryption key is lost for good: what cannot be opened is revoked, and new
 * keys start. Without the secret of the deployment nobody can tell a genuine revocation from a forged
 * one, so where that is lost too, every key goes, also one that opens.
 */

/** What is lost, and what goes with it. */
export interface Losses {
  /** Records of the keys that will be revoked. */
  readonly keys: readonly SerializedKey[]
  /**
   * Is the secret of the deployment lost, and with it whatever it authenticated? Also where a command
   * that gave it up was cut off before `concludeLosses`.
   */
  readonly isSecretLost: boolean
}

export interface AbandonOptions {
  readonly store: KeyStore
  readonly protector: Protector
  readonly clock: Pick<Clock, 'now'>
}

/**
 * Looks at what would be given up; makes nothing.
 * @throws Refused where nothing is lost
 */
export async function findLosses({
  store,
  protector,
}: Omit<AbandonOptions, 'clock'>): Promise<Losses> {
  const stored = await loadAny(store)
  const keys = await openKeys(protector).catch(ifMissing)
  const secret = keys && (await findDeployment(stored, keys).catch(ifMissing))
  return lossesOf(stored, keys, secret)
}

/**
 * Revokes what cannot be opened, under a new secret of the deployment where the old one is lost. After it
 * the rings are to be turned, what the old secret authenticated is to be authenticated anew, and that is to
 * be concluded. Where it was cut off it can be done again.
 * @returns what opens and seals from now on
 * @throws Refused where nothing is lost; KekMissing where key-encryption keys come from outside and none does
 */
export async function abandonLosses(
  { store, protector, clock }: AbandonOptions,
  order: Order & { readonly now: number },
): Promise<Losses & { readonly sealer: Sealer }> {
  const stored = await loadAny(store)
  const keys = await openKeys(protector).catch(async (error: unknown) => {
    if (!(error instanceof KekMissing && protector.create)) throw error
    await protector.create()
    return openKeys(protector)
  })
  const found = await findDeployment(stored, keys).catch(ifMissing)
  const losses = await lossesOf(stored, keys, found)
  const secret = found ?? (await makeDeployment(stored, { store, sealer: keys, clock }))
  const sealer = createDeploymentSealer(keys, secret)
  let { heads } = await loadRecordedRings(store, sealer)
  for (const { id: kid, ring } of losses.keys) {
    const { now: at, actor, reason } = order
    const event = keyEvent({ type: 'revoke', ring, kid, place: null, at, actor, reason })
    const record = await sealer.sealEvent(event, heads)
    await store.addEvents([record])
    heads = [record.id]
  }
  return { ...losses, sealer }
}

/** Records that nothing is left to be done for the secrets that were given up. */
export async function concludeLosses(
  { store, sealer }: { readonly store: KeyStore; readonly sealer: Sealer },
  { now: at, actor, reason }: Order & { readonly now: number },
): Promise<void> {
  const { former } = sealer.deployment
  const { heads } = await loadRecordedRings(store, sealer)
  const fields = { ring: DEPLOYMENT_RING, missing: former, at, actor, reason }
  await store.addEvents([await sealer.sealEvent(keyEvent({ type: 'accept', ...fields }), heads)])
}

/** An empty store has lost nothing with a key-encryption key. @throws Refused */
async function loadAny(store: KeyStore): Promise<StoredRings> {
  const stored = await store.load()
  if (stored.keys.length + stored.events.length > 0) return stored
  throw new Refused(
    'Nothing is given up: the key store is empty. If it should have keys, restore it from a backup; else ' +
      'the first start of the server makes them.',
  )
}

async function lossesOf(
  stored: StoredRings,
  keys: KeySealer | undefined,
  secret: DeploymentSecret | undefined,
): Promise<Losses> {
  const records = stored.keys.filter((record) => !isDeploymentRecord(record))
  if (!keys || !secret) return { keys: records, isSecretLost: true }
  const { events, accepted } = await openEvents(stored.events, secret)
  const isCutOff = !secret.former.every((kid) => accepted.includes(kid))
  const isLost = async (record: SerializedKey) =>
    !events.some((event) => isRevocationOf(event, closedKey(record))) &&
    (await keys.open(record).catch(ifMissing)) === undefined
  const lost = await Promise.all(records.map(isLost))
  if (isCutOff || lost.includes(true)) {
    return { keys: records.filter((_, i) => lost[i]), isSecretLost: isCutOff }
  }
  throw new Refused(
    'Nothing is given up: the key-encryption keys that this command finds open every key that is not ' +
      'revoked. If a server does not find them, compare its seal.* settings with those of this command.',
  )
}

/** A key that is damaged is not lost with a key-encryption key: `keys revoke` ends it. */
function ifMissing(error: unknown): undefined {
  if (error instanceof KekMissing) return undefined
  throw error
}
