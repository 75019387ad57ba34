import type { JWK } from 'jose'
import { SealBroken } from '../errors.ts'
import type { IssuerSecret } from './deployment.ts'
import { type CheckedEvents, type OpenedEvents, openEvents, sealEvent } from './event-record.ts'
import type { KeyEvent } from './key.ts'
import type { SerializedEvent, SerializedKey } from './key-store.ts'
import type { RingKey, SealedFacts } from './ring-key.ts'
import type { KeySealer } from './seal.ts'

/**
 * Turns keys and events of one issuer into records and back, for one deployment. Keys are sealed
 * under a key-encryption key, events are authenticated under the deployment's secret, and both name
 * the newest events that their writer knew.
 */
export interface Sealer {
  readonly deployment: IssuerSecret
  /** Seals a JWK under the newest key-encryption key. @param knows ids of the newest events */
  seal(facts: SealedFacts, jwk: JWK, knows: readonly string[]): Promise<SerializedKey>
  /**
   * Opens a key and checks that its record is as it was written, for this deployment and issuer.
   * @throws KekMissing, SealBroken
   */
  open(record: SerializedKey): Promise<RingKey>
  /**
   * The JWK with its private half if it has one, to take keys to another system.
   * @throws as `open` does
   */
  reveal(record: SerializedKey): Promise<JWK>
  /** Seals the key anew without its private half, so that the record stays authentic. */
  erase(key: RingKey, knows: readonly string[]): Promise<SerializedKey>
  /** Authenticates an event. @param knows ids of the newest events */
  sealEvent(event: KeyEvent, knows: readonly string[]): Promise<SerializedEvent>
  /** Tells genuine events from others. @throws StoreUnreadable for an event of a newer version */
  openEvents(records: readonly SerializedEvent[]): Promise<OpenedEvents>
}

export function createDeploymentSealer(keys: KeySealer, deployment: IssuerSecret): Sealer {
  const { kid, boundTo } = deployment
  const seal: Sealer['seal'] = (facts, jwk, knows) =>
    keys.seal(facts, jwk, { deployment: kid, ...(boundTo !== '' && { issuer: boundTo }), knows })
  const checked: CheckedEvents = new Map()
  const open: Sealer['open'] = async (record) => {
    const opened = await keys.open(record)
    if (opened.deployment !== kid) {
      throw new SealBroken(record.id, 'it was sealed for another deployment')
    }
    if (opened.issuer === boundTo) return opened.key
    throw new SealBroken(
      record.id,
      `it was sealed for another issuer, ${opened.issuer || 'the first'}`,
    )
  }
  return {
    deployment,
    seal,
    open,
    reveal: async (record) => {
      await open(record)
      return keys.reveal(record)
    },
    erase: (key, knows) => {
      if (!key.publicJwk) throw new TypeError(`key ${key.kid} is symmetric: it has no public half`)
      return seal(key, key.publicJwk, knows)
    },
    sealEvent: (event, knows) => sealEvent(event, knows, deployment),
    openEvents: (records) => openEvents(records, deployment, checked),
  }
}
