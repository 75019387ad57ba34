import { createWitnessWatch, type WitnessWatch } from '../witness/witness-watch.ts'
import type { Session } from './session.ts'

/**
 * The witness as a command uses it: what the store lacks stops it as it stops a start, and what it
 * writes is remembered. Only a server begins a witness, because only a server is there when something
 * is revoked elsewhere.
 * @returns undefined where the configuration names none
 */
export function commandWitness(session: Omit<Session, 'witness'>): WitnessWatch | undefined {
  const { config, policies, stores, clock, warn } = session
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
