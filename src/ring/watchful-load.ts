import { StoreUnreadable } from '../errors.ts'
import { DeploymentSecretReplaced } from './deployment-errors.ts'
import type { StoredRings } from './key-store.ts'
import type { KeyState } from './lifecycle.ts'
import { assertComplete, type LoadedRings } from './loaded-rings.ts'
import { lostRecords } from './lost.ts'
import type { RotationPolicies } from './policy.ts'
import type { RingLog } from './ring-log.ts'
import type { Rings } from './rings.ts'
import type { WitnessHook } from './witness-hook.ts'

export interface WatchfulLoadOptions {
  readonly rings: Rings
  readonly policies: RotationPolicies
  readonly log: Pick<RingLog, 'error'>
  /** Remembers facts outside the store; undefined if there is no witness. */
  readonly witness?: WitnessHook | undefined
}

/**
 * Loads the rings at `now`. `states` are those of the keys at hand, empty before the first load.
 */
export type WatchfulLoad = (now: number, states: readonly KeyState[]) => Promise<LoadedRings>

/**
 * Loads the rings for a server that has loaded them before. An emptied store is an error, records
 * that the store has lost are added again, and forged or restored records are logged.
 * @returns the function that loads. It rejects with StoreIncomplete, DeploymentSecretReplaced,
 * StoreUnreadable, and with errors of `Rings.load` and of a witness
 */
export function createWatchfulLoad(options: WatchfulLoadOptions): WatchfulLoad {
  const { rings, policies, log, witness } = options
  const { sealer } = rings
  /** Ids of forged events that were logged. */
  let loggedForged: readonly string[] = []
  let hadDeployment = false

  async function restore(lost: StoredRings): Promise<LoadedRings> {
    const ids = { kids: lost.keys.map(({ id }) => id), events: lost.events.map(({ id }) => id) }
    log.error(ids, 'the key store has lost records that this node knows; they are added again')
    for (const { record } of await rings.putBack(lost)) {
      const { id: kid, ring, generation } = record
      log.error(
        { kid, ring, generation },
        'a lost key cannot be restored, its generation is taken; tokens it signed no longer verify',
      )
    }
    return rings.load()
  }

  /** Adds the lost secret of the deployment again. @throws DeploymentSecretReplaced */
  async function restoreDeployment(): Promise<void> {
    const { record } = sealer.deployment
    log.error(
      { kid: record.id },
      'the key store has lost the secret of the deployment; it is added again',
    )
    const [displaced] = await rings.putBack({ keys: [record], events: [] })
    if (displaced) throw new DeploymentSecretReplaced(displaced.by)
  }

  /** Logs forged events, and private halves that somebody put back into the store. */
  function logTampering({ keys, forged }: LoadedRings): void {
    const fresh = forged.filter((id) => !loggedForged.includes(id))
    if (fresh.length > 0) {
      const data = { events: fresh.slice(0, LOGGED_MAX), count: fresh.length }
      log.error(data, 'the key store has events that fail their check; they are ignored')
    }
    loggedForged = forged
    for (const { kid, ring, hasPrivateHalf } of keys) {
      if (!hasPrivateHalf || !rings.wasErased(kid)) continue
      log.error(
        { ring, kid },
        'the erased private half of a key is in the key store again, because somebody put an older ' +
          'record back; it will be erased once more',
      )
    }
  }

  return async (now, states) => {
    const facts = witness ? await witness.load(sealer, rings.load) : await rings.load()
    if (states.length > 0 && facts.keys.length === 0) {
      throw new StoreUnreadable(
        'The key store was emptied while the server ran. No new keys are made, and the keys in use ' +
          'stay in use. Check that its directory or database is still there, or restore it.',
      )
    }
    if (hadDeployment && !facts.hasDeployment) await restoreDeployment()
    hadDeployment ||= facts.hasDeployment
    const kids = facts.keys.map((key) => key.kid)
    const loaded = { kids, events: facts.records.events.map(({ id }) => id) }
    const lost = lostRecords(rings.records, loaded, { states, policies, now })
    const isWhole = lost.keys.length + lost.events.length === 0
    const { seenGenerations = {} } = facts
    const complete = assertComplete(isWhole ? facts : { ...(await restore(lost)), seenGenerations })
    logTampering(complete)
    // Only now, so that records that could not be added are tried again.
    rings.remember(complete)
    return complete
  }
}

/** Most ids of forged events in one log line. */
const LOGGED_MAX = 10
