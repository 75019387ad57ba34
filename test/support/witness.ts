import type { SerializedEvent } from '../../src/ring/key-store.ts'
import type { WitnessedFacts } from '../../src/witness/witness.ts'

/** The record of a revocation, as far as a witness looks into it: not at all. */
export function revocation(kid: string, at = 100): SerializedEvent {
  const data = `head.a "payload" with ünïcode ${kid}.mac`
  return { id: `revoke/${kid}`, ring: 'sig/ES256', type: 'revoke', at, data }
}

/** What a store says that has nothing but what is given. */
export function seen(facts: Partial<WitnessedFacts>): WitnessedFacts {
  return {
    deployments: ['d'],
    issuer: 'https://id.example.com',
    events: [],
    generations: {},
    given: [],
    configured: ['sig/ES256'],
    ...facts,
  }
}
