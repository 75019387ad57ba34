import type { ClientStore } from '../clients/client-store.ts'
import { SIGNED_ANSWERS, type WantedAlgorithm } from '../clients/signed-answers.ts'
import { toRfc3339 } from '../clock.ts'
import { Refused } from '../errors.ts'
import { type RotationPolicies, signatureRing } from '../ring/policy.ts'
import { type RingView, signerOf } from '../ring/view.ts'

/**
 * Checks that a ring exists for every algorithm that a client wants. The server refuses to start
 * otherwise, because it would answer that client with errors.
 * @returns warnings about rings that do not sign yet
 * @throws Refused naming a client whose algorithm has no ring
 */
export async function checkClientAlgorithms(
  clients: Pick<ClientStore, 'signingAlgorithms'>,
  policies: RotationPolicies,
  view: RingView,
): Promise<readonly string[]> {
  const wanted = await clients.signingAlgorithms()
  for (const one of wanted) assertRing(one, policies)
  return wanted.flatMap((one) => notYetSigning(one, view) ?? [])
}

/** @throws Refused */
function assertRing(wanted: WantedAlgorithm, policies: RotationPolicies): void {
  const { answer, algorithm, client } = wanted
  const ring = signatureRing(algorithm)
  if (policies.policyFor(ring).configured) return
  const rings = policies.rings.filter((policy) => policy.published).map((policy) => policy.ring)
  const what = answer === 'id_token_signed_response_alg' ? 'its ID tokens' : SIGNED_ANSWERS[answer]
  throw new Refused(
    'client_without_ring',
    { id: client, algorithm },
    `Client ${client} wants ${what} signed with ${algorithm}, but no ring has this algorithm. Add "${ring}: {}" to ` +
      `rotation.rings, or use one of the configured rings (${rings.join(', ')}).`,
  )
}

function notYetSigning(
  { answer, algorithm, client }: WantedAlgorithm,
  view: RingView,
): string | undefined {
  const ring = signatureRing(algorithm)
  if (signerOf(view, ring)) return undefined
  const first = view.states.find((s) => s.key.ring === ring && s.phase === 'pre-active')
  const from = first ? ` from ${toRfc3339(first.activatesAt)}` : ''
  return `Client ${client} wants ${SIGNED_ANSWERS[answer]} signed with ${algorithm}; ring ${ring} signs only${from}.`
}
