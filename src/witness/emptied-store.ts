import { StoreUnavailable } from '../errors.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { StoreOutdated } from '../ring/witness-errors.ts'
import { lackOfEverything } from './comparison.ts'
import { lackWords, type Witness } from './witness.ts'

/**
 * Refuses a key store that is empty although the witness remembers its content. Called before
 * anything is made in the store, in particular the secret of another deployment.
 * @throws StoreOutdated, WitnessUnreadable
 */
export async function assertNotEmptied(
  witness: Witness,
  store: Pick<KeyStore, 'load'>,
): Promise<void> {
  if (!(await isEmpty(store))) return
  const record = await witness.read().catch((error: unknown) => {
    if (error instanceof StoreUnavailable && witness.canBeAway) return undefined
    throw error
  })
  const lack = record && lackOfEverything(record)
  // Another node may have made its first key, and noted it, since the store was read.
  if (lack && (await isEmpty(store))) throw new StoreOutdated(lackWords(lack), witness.where)
}

async function isEmpty(store: Pick<KeyStore, 'load'>): Promise<boolean> {
  const { keys, events } = await store.load()
  return keys.length + events.length === 0
}
