import type { OneIssuerConfig } from '../../lab/one-issuer.ts'
import { systemClock } from '../../src/clock.ts'
import { rotationPolicies } from '../../src/config/policies.ts'
import type { CreateAction, EventAction } from '../../src/ring/action.ts'
import type { RingFacts } from '../../src/ring/lifecycle.ts'
import type { RotationPolicies } from '../../src/ring/policy.ts'
import { createRings } from '../../src/ring/rings.ts'
import { openStores } from '../../src/server/stores.ts'

/**
 * Does to the rings what an operator's command would, through stores of its own while the server
 * runs; the server sees it at its next turn.
 */
export async function operate(
  config: OneIssuerConfig,
  order: (
    facts: RingFacts,
    policies: RotationPolicies,
    now: number,
  ) => CreateAction | EventAction | undefined,
): Promise<void> {
  const stores = (await openStores(config, systemClock)).of(config.issuer)
  try {
    const rings = createRings({ store: stores.keys, sealer: await stores.openSealer() })
    const facts = await rings.load()
    const action = order(facts, rotationPolicies(config), systemClock.now())
    if (action) await rings.apply(action, facts)
  } finally {
    await stores.close()
  }
}
