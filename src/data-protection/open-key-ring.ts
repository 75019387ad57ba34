import { type CertificateFile, loadCertificate } from './certificate-file.ts'
import { createKeeper, type RingKeeper } from './keeper.ts'
import type { NewKeyAlgorithms } from './key-element.ts'
import { type KeyRing, loadKeyRing } from './key-ring.ts'
import { openRingStore, type RingSource } from './open-store.ts'
import { type KeepPolicy, wholePolicy } from './plan.ts'
import type { RingStore } from './ring-store.ts'

/** Place of a key ring, and how to read it. */
export interface OpenKeyRingOptions extends RingSource {
  /**
   * Certificates for which the ring's secrets were encrypted, including old ones while their keys
   * are needed.
   */
  readonly certificates?: readonly CertificateFile[]
  /**
   * Name as in `SetApplicationName`; without it, the path of the content root, with a slash at its
   * end.
   */
  readonly applicationName?: string
  readonly now: () => Date
}

/**
 * Opens a key ring of ASP.NET Core Data Protection.
 * @throws KeyRingUnreadable `ring_unavailable`, `revocation_unreadable`; CertificateUnusable;
 * TypeError
 * @example
 * const ring = await openKeyRing({ directory: '/keys', applicationName: 'shop', now })
 * const basket = ring.createProtector('Shop.Basket').unprotect(Buffer.from(cookie, 'base64url'))
 */
export async function openKeyRing(options: OpenKeyRingOptions): Promise<KeyRing> {
  const { certificates = [], applicationName, now } = options
  const loaded = await Promise.all(certificates.map(loadCertificate))
  return withStore(options, (store) =>
    loadKeyRing(store, { certificates: loaded, applicationName, now }),
  )
}

/** Place of a key ring, and how to keep it. */
export interface KeepKeyRingOptions extends RingSource {
  /**
   * Certificates. New secrets are encrypted for the first one; without any, they are stored in
   * clear.
   */
  readonly certificates?: readonly CertificateFile[]
  /** Algorithms of new keys. Default: AES-256-CBC with HMAC-SHA-256. */
  readonly algorithms?: NewKeyAlgorithms
  readonly policy?: KeepPolicy
  readonly now: () => Date
}

/**
 * Opens a keeper of a ring, each `look` of which makes the key that is due. The caller decides how
 * often to look; once an hour is enough.
 * @throws KeyRingUnreadable `ring_unavailable`; CertificateUnusable; TypeError
 */
export async function keepKeyRing(options: KeepKeyRingOptions): Promise<RingKeeper> {
  const { certificates = [], algorithms, policy = {}, now } = options
  const loaded = await Promise.all(certificates.map(loadCertificate))
  return withStore(options, async (store) =>
    createKeeper({
      store,
      certificates: loaded,
      ...(algorithms ? { algorithms } : {}),
      policy: wholePolicy(policy),
      now,
    }),
  )
}

async function withStore<T>(source: RingSource, use: (store: RingStore) => Promise<T>): Promise<T> {
  const store = await openRingStore(source)
  try {
    return await use(store)
  } catch (error) {
    await store.close()
    throw error
  }
}
