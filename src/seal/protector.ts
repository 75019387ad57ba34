import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { base64url } from 'jose'
import type { Clock } from '../clock.ts'
import { KekMissing, KekUnreadable, StoreUnavailable } from '../errors.ts'
import { isDeploymentRecord, openDeployment } from '../ring/deployment.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { createSealer, type Kek, type KeySealer } from '../ring/seal.ts'
import { createDeploymentSealer, type Sealer } from '../ring/sealer.ts'
import { createFile } from '../whole-file.ts'
import { environmentKeks, KEK_BYTES, keksOf, readKekSet } from './kek-text.ts'

/** Where key-encryption keys come from. */
export interface Protector {
  /**
   * All key-encryption keys, newest first.
   * @throws KekMissing, KekEmpty, KekUnreadable: three different things to mend
   */
  load(): Promise<readonly Kek[]>
  /** Makes the first one. Absent where keys are provided from outside. */
  create?(): Promise<void>
}

/** A JWK Set file (RFC 7517) of symmetric keys, newest first; made with mode 0600. */
export function fileProtector(path: string): Protector {
  return {
    load: async () => {
      const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT')
          throw new KekMissing(`The key-encryption key file ${path} is missing.`)
        throw new KekUnreadable(
          `The key-encryption key file ${path} cannot be read: ${cause.message}`,
          cause,
        )
      })
      return keksOf(readKekSet(text, `key-encryption key file ${path}`))
    },
    create: async () => {
      const k = base64url.encode(randomBytes(KEK_BYTES))
      const text = `${JSON.stringify({ keys: [{ kty: 'oct', k }] }, null, 2)}\n`
      const made = mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await made
        .then(() => createFile(path, text))
        .catch((cause: Error) => {
          throw new StoreUnavailable(
            `Cannot make the key-encryption key file ${path}: ${cause.message}`,
            cause,
          )
        })
    },
  }
}

/**
 * Key-encryption keys given by the environment (`KEYTURN_SEAL__KEYS`, or a file named by
 * `KEYTURN_SEAL__KEYS_FILE`): a JWK Set, or keys of 32 bytes in base64 or base64url with commas between.
 */
export function environmentProtector(text: string | undefined): Protector {
  return {
    load: async () => {
      if (text === undefined) {
        throw new KekMissing('seal.protector is "environment", but KEYTURN_SEAL__KEYS is not set.')
      }
      return keksOf(environmentKeks(text))
    },
  }
}

/**
 * A sealer with the key-encryption keys of a protector and the secret of the deployment. On a first
 * start, when neither they nor any key exist, they are made.
 * @throws KekMissing where they are gone but keys are sealed under them; nothing is made then
 * @throws KekEmpty, KekUnreadable, DeploymentSecretMissing
 */
export async function openSealer(
  protector: Protector,
  store: KeyStore,
  clock: Pick<Clock, 'now'>,
): Promise<Sealer> {
  const keys = await openKeySealer(protector, store)
  return createDeploymentSealer(keys, await openDeployment(store, keys, clock))
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
          'cannot be opened without it. Restore it from a backup; a new one would not open them. If ' +
          'it is lost for good: keyturn keys abandon --lost-kek',
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
  return {
    seal: (...args) => sealer.seal(...args),
    newest: () => sealer.newest(),
    open: (record) =>
      sealer.open(record).catch(async (error: unknown) => {
        if (!(error instanceof KekMissing)) throw error
        sealer = createSealer(await protector.load())
        return sealer.open(record)
      }),
  }
}
