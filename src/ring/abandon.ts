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
 * The way out where a key-encryption key is lost for good: what cannot be opened is revoked, and new
 * keys start. Without the secret of the deployment nobody can tell a genuine revocation from a forged
 * one, so where that is lost too, every key goes, also one that opens.
 */

/** What is lost, and what goes with it. */
export interface Losses {
  /** Records of the keys that will be revoked. */
  readonly keys: readonly SerializedKey[]
  /** Is the secret of the deployment lost, and with it whatever it authenticated? */
  readonly isSecretLost: boolean
}

export interface AbandonOptions {
  readonly issuer: string
  readonly store: KeyStore
  readonly protector: Protector
  readonly clock: Pick<Clock, 'now'>
  /** Authenticates everything else anew that the lost secret authenticated; safe to do twice. */
  readonly authenticateAnew: (secret: DeploymentSecret) => Promise<unknown>
}

/**
 * Looks at what would be given up; makes nothing.
 * @throws Refused where nothing is lost; DeploymentSecretDisplaced where an earlier secret is not
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
 * Revokes what cannot be opened, under a new secret of the deployment where the old one is lost. The
 * rings are to be turned after it. Where it was cut off it can be done again.
 * @returns what opens and seals from now on
 * @throws Refused where nothing is lost; KekMissing where key-encryption keys come from outside and none does
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

/** An empty store has lost nothing with a key-encryption key. @throws Refused */
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
    // A key of a secret that was given up goes with it, also where that was cut off in between.
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

/** A key that is damaged is not lost with a key-encryption key: `keys revoke` ends it. */
function ifMissing(error: unknown): undefined {
  if (error instanceof KekMissing && !(error instanceof DeploymentSecretDisplaced)) return undefined
  throw error
}
