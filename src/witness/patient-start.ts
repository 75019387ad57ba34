import type { Clock } from '../clock.ts'
import type { LoadedRings } from '../ring/loaded-rings.ts'
import type { RingLog } from '../ring/ring-log.ts'
import { StoreOutdated } from '../ring/witness-errors.ts'
import { type Lack, lackLines, lackWords, type Witness } from './witness.ts'

/**
 * A start on a key store that is older than it was waits, because other nodes may put back what the
 * store lacks.
 */

/** The key store as it was loaded, and what it lacks by the witness. */
export interface Look {
  readonly facts: LoadedRings
  readonly lack: Lack | undefined
}

/** A look that found out whether there is a witness. */
export interface FirstLook extends Look {
  /** True if the witness could be read, and there is none. */
  readonly isUnwitnessed: boolean
}

export interface PatienceOptions {
  readonly witness: Pick<Witness, 'where'>
  readonly clock: Pick<Clock, 'elapsed' | 'sleep'>
  /**
   * Seconds that a start waits for other nodes to restore the store; 0 if there are no other nodes.
   */
  readonly patience: number
  /** Wakes other nodes, which may still know the lost events and keys. */
  readonly wakeOthers: () => Promise<unknown>
  readonly log: RingLog
}

/** Seconds between two looks. */
const LOOK_PAUSE = 1

/** True if the store lacks what the witness or its own records name. */
export function isOlder({ facts, lack }: Look): boolean {
  return lack !== undefined || facts.missing.length > 0
}

/** True if the store has content and there is no witness to compare it with. */
export function cannotTell({ facts, isUnwitnessed }: FirstLook): boolean {
  return isUnwitnessed && facts.keys.length + facts.events.length > 0
}

/**
 * Looks once more, a moment later, if the store cannot be compared: another node that starts for
 * the first time makes its first keys just before it begins the witness.
 * @param options `mayBegin` is false for a command, which is not delayed
 */
export async function lookPatiently(
  look: () => Promise<FirstLook>,
  { clock, mayBegin }: Pick<PatienceOptions, 'clock'> & { readonly mayBegin: boolean },
): Promise<FirstLook> {
  const first = await look()
  if (!mayBegin || !cannotTell(first)) return first
  await clock.sleep(LOOK_PAUSE, new AbortController().signal)
  return look()
}

/**
 * Looks again until the store is whole or the patience is over. A store whose own records alone
 * name what is missing is returned as it is.
 * @throws StoreOutdated if the store still lacks what the witness names
 */
export async function waitForOthers(
  first: Look,
  look: () => Promise<Look>,
  options: PatienceOptions,
): Promise<LoadedRings> {
  const { clock, patience, log } = options
  // The patience includes the time that waking takes.
  const until = clock.elapsed() + patience
  if (patience > 0) await askOthers(first, options)
  let seen = first
  while (isOlder(seen) && clock.elapsed() < until) {
    await clock.sleep(LOOK_PAUSE, new AbortController().signal)
    seen = await look()
  }
  if (seen.lack) throw new StoreOutdated(lackWords(seen.lack), options.witness.where)
  if (!isOlder(seen)) log.info({}, 'other nodes have put back what the key store lacked')
  return seen.facts
}

/** Wakes other nodes and says why this start waits. */
async function askOthers(
  { facts, lack }: Look,
  { patience, wakeOthers, log }: PatienceOptions,
): Promise<void> {
  log.warn(
    { missing: lack ? lackLines(lack) : facts.missing, seconds: patience },
    `the key store is older than it was; this start waits ${patience} s, because other nodes may ` +
      'put back what it lacks',
  )
  await wakeOthers()
}
