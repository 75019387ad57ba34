import { RingStale } from '../errors.ts'
import type { KeyState, Phase } from '../ring/lifecycle.ts'
import type { Authorize } from '../ring/may-sign.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { RingKey } from '../ring/ring-key.ts'
import type { RingView } from '../ring/view.ts'
import { RingSigningKey } from './ring-signing-key.ts'

/**
 * The key set of an oidc-provider instance for one ring view: what is published and, so that logout
 * with an old `id_token_hint` keeps working, what is archived. Revoked keys are not in it. Active
 * keys come first, because oidc-provider signs with the first key of an algorithm.
 */
export function signingKeys(
  view: RingView,
  policies: RotationPolicies,
  authorize: Authorize,
): readonly RingSigningKey[] {
  const states = view.states.filter((state) => state.key.publicJwk && state.phase !== 'revoked')
  const phaseOf = ({ key, phase }: KeyState<RingKey>): Phase =>
    // A ring that left the configuration still verifies, but does not sign any more.
    phase === 'active' && !policies.policyFor(key.ring).configured ? 'retired' : phase
  return states
    .map((state) =>
      isStandIn(state, view) && policies.policyFor(state.key.ring).configured
        ? new RingSigningKey(state.key, 'active', refuseFor(state.key.ring))
        : new RingSigningKey(state.key, phaseOf(state), authorize),
    )
    .sort((a, b) => Number(b.isActive) - Number(a.isActive))
}

/**
 * True for the pre-active key of a ring whose active key was revoked and whose next key could not
 * be promoted yet, for example because the store became unavailable. Such a key is offered as
 * active, but requests for its signature are answered 503; without it oidc-provider would act as if
 * the ring never existed, and blame the client or answer 500.
 */
function isStandIn({ key }: KeyState<RingKey>, { states }: RingView): boolean {
  const ofRing = states.filter((state) => state.key.ring === key.ring)
  if (ofRing.some(({ phase }) => phase === 'active')) return false
  if (!ofRing.some(({ phase }) => phase === 'revoked')) return false
  return ofRing.find(({ phase, key }) => phase === 'pre-active' && key.publicJwk)?.key === key
}

function refuseFor(ring: string): Authorize {
  return () => {
    throw new RingStale(
      `Ring ${ring} has no key that may sign at the moment: its key was revoked, and the next one is not promoted yet.`,
    )
  }
}
