/**
 * `keyturn/ring`: signing keys that turn by themselves, without a server. The module loads jose,
 * zod and modules of Node only.
 *
 * @module keyturn/ring
 */
export type { Clock } from '../clock.ts'
export {
  KeyturnError,
  KidTaken,
  NotFound,
  PolicyUnsafe,
  Refused,
  RingStale,
  StoreUnavailable,
} from '../errors.ts'
export { missingKeys } from '../ring/add-together.ts'
export type { SignatureAlgorithm } from '../ring/algorithms.ts'
export type { ClockCheck } from '../ring/clock-check.ts'
export { createFileKeyStore } from '../ring/file-key-store.ts'
export type { KeyStore, SerializedEvent, SerializedKey, StoredRings } from '../ring/key-store.ts'
export { createMemoryKeyStore } from '../ring/memory-key-store.ts'
export type { Protector } from '../ring/protector.ts'
export type { RingLog } from '../ring/ring-log.ts'
export type { Kek } from '../ring/seal.ts'
export type { Signer } from '../ring/signer.ts'
export type { RingStatus } from '../ring/status.ts'
export type { WitnessHook } from '../ring/witness-hook.ts'
export { environmentProtector, fileProtector } from '../seal/protector.ts'
export type { JwksDocument } from './jwks-document.ts'
export {
  type KeyRow,
  type Order,
  openRing,
  type Ring,
  type RingOptions,
  type SignOptions,
} from './open-ring.ts'
export type { RingSettings } from './ring-settings.ts'
