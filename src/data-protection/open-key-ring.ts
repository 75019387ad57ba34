import { type CertificateFile, loadCertificate } from './certificate-file.ts'
import { type KeyRing, loadKeyRing } from './key-ring.ts'
import { openRingStore, type RingSource } from './open-store.ts'

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
  const store = await openRingStore(options)
  try {
    return await loadKeyRing(store, { certificates: loaded, applicationName, now })
  } catch (error) {
    await store.close()
    throw error
  }
}
