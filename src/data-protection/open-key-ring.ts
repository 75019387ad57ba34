import { type CertificateFile, loadCertificate } from './certificate-file.ts'
import { openDirectoryStore } from './directory-store.ts'
import { type GivenElement, openElementStore } from './element-store.ts'
import { type KeyRing, loadKeyRing } from './key-ring.ts'
import type { RingStore } from './ring-store.ts'

/** Where a ring is: exactly one of these. */
export interface RingSource {
  /** Path of the directory of `PersistKeysToFileSystem`. */
  readonly directory?: string
  /** XML of each element, in the order of their store. */
  readonly elements?: readonly GivenElement[]
}

export interface OpenKeyRingOptions extends RingSource {
  /** Those that the ring's secrets were encrypted for; old ones too, as long as their keys are needed. */
  readonly certificates?: readonly CertificateFile[]
  /** As in `SetApplicationName`; without it, the path of the content root, with a slash at its end. */
  readonly applicationName?: string
  readonly now: () => Date
}

/**
 * Opens a key ring of ASP.NET Core Data Protection.
 * @throws KeyRingUnreadable `ring_unavailable`, `revocation_unreadable`; CertificateUnusable; TypeError
 * @example
 * const ring = await openKeyRing({ directory: '/keys', applicationName: 'shop', now })
 * const basket = ring.createProtector('Shop.Basket').unprotect(Buffer.from(cookie, 'base64url'))
 */
export async function openKeyRing(options: OpenKeyRingOptions): Promise<KeyRing> {
  const { certificates = [], applicationName, now } = options
  const loaded = await Promise.all(certificates.map(loadCertificate))
  return loadKeyRing(openRingStore(options), { certificates: loaded, applicationName, now })
}

/** @throws TypeError unless exactly one source is told */
export function openRingStore({ directory, elements }: RingSource): RingStore {
  if (directory !== undefined && elements === undefined) return openDirectoryStore(directory)
  if (elements !== undefined && directory === undefined) return openElementStore(elements)
  throw new TypeError('A key ring is opened from exactly one of: directory, elements')
}
