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
 * The witness as a command uses it: what the store lacks stops it as it stops a start, and what it
 * writes is remembered. Only a server begins a witness, because only a server is there when something
 * is revoked elsewhere.
 * @returns undefined where the configuration names none
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
