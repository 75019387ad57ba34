import { StoreUnavailable } from '../errors.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { Sealer } from '../ring/sealer.ts'
import { WitnessUnreadable } from '../ring/witness-errors.ts'
import { type Witness, type WitnessedFacts, type WitnessRecord, witnessed } from './witness.ts'
import { type AuthenticWitness, authenticWitness } from './witness-mac.ts'

/** The record of the witness as this node last read or wrote it, and failures of the witness. */
export interface KnownRecord {
  readonly record: WitnessRecord | undefined
  /** Problem of the witness itself, in words. */
  readonly failure: string | undefined
  /** Reads and writes by the secret of this deployment from now on. */
  openFor(deployment: Sealer['deployment']): void
  /**
   * Reads the witness. Always called before the store is read, because everything that the witness
   * remembers was in the store before.
   * @returns false if the witness could not be read, which is tolerated if it may be unavailable
   */
  look(how: { readonly mustBeWhole: boolean }): Promise<boolean>
  /** Continues with an earlier record, because of an error in what was read. */
  fallBackTo(earlier: WitnessRecord | undefined, error: Error): void
  /** Adds facts to the witness, unless `assertFit` throws. A failure is logged and kept. */
  add(seen: WitnessedFacts, assertFit: (before: WitnessRecord) => void): Promise<void>
}

export function knowRecord(origin: Witness, log: RingLog): KnownRecord {
  let witness: AuthenticWitness = authenticWitness(origin, undefined)
  let record: WitnessRecord | undefined
  let failure: string | undefined
  /** True after a failed write, until a write succeeds. */
  let hasWriteFailed = false
  /** Message of the lasting failure that was logged. */
  let loggedFailure: string | undefined

  function fail(error: Error): void {
    if (loggedFailure !== error.message) {
      log.warn({ err: error }, 'the witness does not work; key rotation continues')
    }
    failure = error.message
    loggedFailure = failure
  }

  async function look({ mustBeWhole }: { mustBeWhole: boolean }): Promise<boolean> {
    try {
      record = await witness.read()
      // A successful read does not show that writing works.
      if (!hasWriteFailed) failure = undefined
      return true
    } catch (error) {
      const isAway = error instanceof StoreUnavailable
      if (mustBeWhole && !(isAway && origin.canBeAway)) throw error
      if (!isAway && !(error instanceof WitnessUnreadable)) throw error
      fail(error)
      return false
    }
  }

  async function add(
    seen: WitnessedFacts,
    assertFit: (before: WitnessRecord) => void,
  ): Promise<void> {
    if (failure === undefined && record && witnessed(record, seen) === record) {
      loggedFailure = undefined
      return
    }
    try {
      record = await witness.update((before) => {
        assertFit(before)
        return witnessed(before, seen)
      })
      hasWriteFailed = false
      failure = undefined
      loggedFailure = undefined
    } catch (error) {
      hasWriteFailed = true
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  return {
    get record() {
      return record
    },
    get failure() {
      return failure
    },
    openFor: (deployment) => {
      witness = authenticWitness(origin, deployment)
    },
    look,
    fallBackTo: (earlier, error) => {
      record = earlier
      fail(error)
    },
    add,
  }
}
