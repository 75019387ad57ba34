import type { Clock } from '../clock.ts'
import { KekMissing } from '../errors.ts'
import { type DeploymentSecret, isDeploymentRecord, openDeployment } from './deployment.ts'
import type { KeyStore } from './key-store.ts'
import { createSealer, type Kek, type KeySealer } from './seal.ts'
import { createDeploymentSealer, type Sealer } from './sealer.ts'

/** Where key-encryption keys come from (`seal/` has a file and the environment). */
export interface Protector {
  /**
   * All key-encryption keys, newest first.
   * @throws KekMissing, KekEmpty, KekUnreadable: three different things to mend
   */
  load(): Promise<readonly Kek[]>
  /** Makes the first one. Absent where keys are provided from outside. */
  create?(): Promise<void>
}

/**
 * A sealer for a deployment without issuers, with the key-encryption keys of a protector and the secret
 * of the deployment. On a first start, when neither they nor any key exist, they are made.
 * @throws KekMissing where they are gone but keys are sealed under them; nothing is made then
 * @throws KekEmpty, KekUnreadable, DeploymentSecretMissing
 */
export async function openSealer(
  protector: Protector,
  store: KeyStore,
  clock: Pick<Clock, 'now'>,
): Promise<Sealer> {
  const { keys, deployment } = await openSecrets(protector, store, clock)
  return createDeploymentSealer(keys, deployment)
}

/** What all issuers of a deployment share to seal and authenticate their records. */
export interface Secrets {
  readonly keys: KeySealer
  readonly deployment: DeploymentSecret
}

/**
 * The same, to make a sealer for each issuer of.
 * @param store has all that the deployment keeps
 */
export async function openSecrets(
  protector: Protector,
  store: KeyStore,
  clock: Pick<Clock, 'now'>,
): Promise<Secrets> {
  const keys = await openKeySealer(protector, store)
  return { keys, deployment: await openDeployment(store, keys, clock) }
}

async function openKeySealer(protector: Protector, store: KeyStore): Promise<KeySealer> {
  try {
    return await openKeys(protector)
  } catch (error) {
    if (!(error instanceof KekMissing)) throw error
    const { keys } = await store.load()
    if (keys.length > 0) {
      const count = keys.filter((key) => !isDeploymentRecord(key)).length
      throw new KekMissing(
        `${error.message} ${count} keys and the secret of the deployment are sealed under it and ` +
          'cannot be opened without it. Restore it from a backup; a new one would not open them.',
        { isNeeded: true },
      )
    }
    if (!protector.create) throw error
    await protector.create()
    return openKeys(protector)
  }
}

/** @throws KekMissing, KekEmpty, KekUnreadable */
export async function openKeys(protector: Protector): Promise<KeySealer> {
  return reloading(createSealer(await protector.load()), protector)
}

/** Looks once more for the key-encryption key that a key needs: it may have been added since. */
function reloading(first: KeySealer, protector: Protector): KeySealer {
  let sealer = first
  const withKeks = <T>(open: () => Promise<T>): Promise<T> =>
    open().catch(async (error: unknown) => {
      if (!(error instanceof KekMissing)) throw error
      sealer = createSealer(await protector.load())
      return open()
    })
  return {
    seal: (...args) => sealer.seal(...args),
    newest: () => sealer.newest(),
    open: (record) => withKeks(() => sealer.open(record)),
    reveal: (record) => withKeks(() => sealer.reveal(record)),
  }
}
