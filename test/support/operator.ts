import { systemClock } from '../../src/clock.ts'
import { rotationPolicies } from '../../src/config/policies.ts'
import type { Config } from '../../src/config/schema.ts'
import type { RingFacts } from '../../src/ring/lifecycle.ts'
import type { Action } from '../../src/ring/plan.ts'
import type { RotationPolicies } from '../../src/ring/policy.ts'
import { applyAction, loadRings } from '../../src/ring/rotate.ts'
import { openStores } from '../../src/server/stores.ts'

/**
 * Does to the rings what an operator's command would, through stores of its own while the server
 * runs; the server sees it at its next turn.
 */
export async function operate(
  config: Config,
  order: (facts: RingFacts, policies: RotationPolicies, now: number) => Action | undefined,
): Promise<void> {
  const stores = (await openStores(config, systemClock)).of(config.issuer)
  try {
    const sealer = await stores.openSealer()
    const facts = await loadRings(stores.keys, sealer, new Map())
    const action = order(facts, rotationPolicies(config), systemClock.now())
    if (action) await applyAction(action, facts, { store: stores.keys, sealer })
  } finally {
    await stores.close()
  }
}
