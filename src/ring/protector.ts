import type { Clock } from '../clock.ts'
import { KekMissing } from '../errors.ts'
import { type DeploymentSecret, isDeploymentRecord, openDeployment } from './deployment.ts'
import type { KeyStore, SerializedKey } from './key-store.ts'
import { createSealer, type Kek, type KeySealer } from './seal.ts'
import { createDeploymentSealer, type Sealer } from './sealer.ts'

/** A source of key-encryption keys (`seal/` has a file and the environment). */
export interface Protector {
  /**
   * Loads all key-encryption keys, newest first.
   * @throws KekMissing, KekEmpty, KekUnreadable, each of which is mended differently
   */
  load(): Promise<readonly Kek[]>
  /** Makes the first key-encryption key. Absent if the keys are provided from outside. */
  create?(): Promise<void>
}

/**
 * Opens a sealer for a deployment without issuers, with the key-encryption keys of a protector and
 * the secret of the deployment. On a first start, when neither these keys nor any others exist,
 * key-encryption key and secret are made.
 * @throws KekMissing if key-encryption keys are gone but keys are sealed under them; nothing is
 * made then
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

/** Secrets with which all issuers of a deployment seal and authenticate their records. */
export interface Secrets {
  readonly keys: KeySealer
  readonly deployment: DeploymentSecret
}

/**
 * Opens the secrets as `openSealer` does, to make a sealer for each issuer.
 * @param store has all records of the deployment
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
    if (keys.length > 0) return openKeysOf(keys, protector)
    if (!protector.create) throw error
    await protector.create()
    return openKeys(protector)
  }
}

/**
 * Looks for key-encryption keys once more, because another process may have made them, and keys
 * under them, since they were missing.
 * @throws KekMissing if they still are; KekEmpty, KekUnreadable
 */
async function openKeysOf(
  keys: readonly SerializedKey[],
  protector: Protector,
): Promise<KeySealer> {
  try {
    return await openKeys(protector)
  } catch (error) {
    if (!(error instanceof KekMissing)) throw error
    const count = keys.filter((key) => !isDeploymentRecord(key)).length
    throw new KekMissing(
      `${error.message} ${count} keys and the secret of the deployment are sealed under it and ` +
        'cannot be opened without it. Restore it from a backup, because a new one would not open them.',
      { isNeeded: true },
    )
  }
}

/** @throws KekMissing, KekEmpty, KekUnreadable */
export async function openKeys(protector: Protector): Promise<KeySealer> {
  return reloading(createSealer(await protector.load()), protector)
}

/**
 * Loads the key-encryption keys once more if one is missing, because it may have been added since.
 */
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
