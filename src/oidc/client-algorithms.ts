import { toRfc3339 } from '../clock.ts'
import { Refused } from '../errors.ts'
import { type RingView, signerOf } from '../keys/jwks.ts'
import { type RotationPolicies, signatureRing } from '../keys/policy.ts'
import type { ClientStore } from '../store/clients.ts'

/**
 * Does every client get its ID tokens signed? Removing a ring that a client needs would answer that
 * client with errors; better not to start.
 * @returns warnings about rings that will sign, but do not yet
 * @throws Refused naming a client whose algorithm has no ring
 */
export async function checkClientAlgorithms(
  clients: Pick<ClientStore, 'idTokenAlgorithms'>,
  policies: RotationPolicies,
  view: RingView,
): Promise<readonly string[]> {
  const warnings: string[] = []
  for (const { algorithm, client } of await clients.idTokenAlgorithms()) {
    assertRing(algorithm, `Client ${client}`, policies)
    const warning = notYetSigning(algorithm, `Client ${client}`, view)
    if (warning) warnings.push(warning)
  }
  return warnings
}

/** @throws Refused */
export function assertRing(algorithm: string, who: string, policies: RotationPolicies): void {
  const ring = signatureRing(algorithm)
  if (policies.policyFor(ring).configured) return
  const rings = policies.rings.filter((policy) => policy.published).map((policy) => policy.ring)
  throw new Refused(
    `${who} wants its ID tokens signed with ${algorithm}, but no ring does. Add "${ring}: {}" to ` +
      `rotation.rings, or use one that is there (${rings.join(', ')}).`,
  )
}

function notYetSigning(algorithm: string, who: string, view: RingView): string | undefined {
  const ring = signatureRing(algorithm)
  if (signerOf(view, ring)) return undefined
  const first = view.states.find((s) => s.key.ring === ring && s.phase === 'pre-active')
  const from = first ? ` from ${toRfc3339(first.activatesAt)}` : ''
  return `${who} wants ID tokens signed with ${algorithm}; ring ${ring} signs only${from}.`
}
