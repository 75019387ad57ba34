import type { IssuerConfig } from '../config/schema.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { IssuerStores } from '../server/stores.ts'
import { createWitnessWatch, type WitnessWatch } from '../witness/witness-watch.ts'
import type { Context } from './context.ts'

interface Opened extends Pick<Context, 'clock' | 'warn'> {
  readonly config: IssuerConfig
  readonly policies: RotationPolicies
  readonly stores: IssuerStores
}

/**
 * The witness for a command. A command fails if the store lacks something, as a start of the server
 * does, and its changes are added to the witness. Only a server begins a witness, because only a
 * running server hears of revocations elsewhere.
 * @returns undefined if the configuration names no witness
 */
export function commandWitness(opened: Opened): WitnessWatch | undefined {
  const { config, policies, stores, clock, warn } = opened
  if (!stores.witness) return undefined
  const tell = (_data: object, message: string) => warn(`Note: ${message}.`)
  return createWitnessWatch({
    witness: stores.witness,
    mayBegin: false,
    issuer: config.issuer,
    policies,
    clock,
    addEvents: (events) => stores.keys.addEvents(events),
    wakeOthers: async () => {},
    patience: 0,
    log: { info: () => {}, warn: tell, error: tell },
  })
}
