/**
 * `keyturn/data-protection`: reads and keeps key rings of ASP.NET Core Data Protection, and
 * protects data with them. Database and Redis drivers are loaded only for a ring that is given by
 * URL.
 *
 * @module keyturn/data-protection
 */
export type { CertificateFile } from '../data-protection/certificate-file.ts'
export type { DefaultKey } from '../data-protection/default-key.ts'
export type { GivenElement } from '../data-protection/element-store.ts'
export type { Revoked, RingKeeper, RingReport } from '../data-protection/keeper.ts'
export type { NewKeyAlgorithms } from '../data-protection/key-element.ts'
export type { KeyInfo, KeyRing } from '../data-protection/key-ring.ts'
export {
  type KeepKeyRingOptions,
  keepKeyRing,
  type OpenKeyRingOptions,
  openKeyRing,
} from '../data-protection/open-key-ring.ts'
export type { RingSource } from '../data-protection/open-store.ts'
export type { KeepPolicy } from '../data-protection/plan.ts'
export type { ProblemCode, RingProblem } from '../data-protection/problem.ts'
export type { Protector, Unprotected } from '../data-protection/protector.ts'
export type { TimeLimitedProtector } from '../data-protection/time-limited.ts'
