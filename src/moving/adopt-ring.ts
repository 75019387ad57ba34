import type { ImportedKey } from '../import/imported-key.ts'
import { isSignatureAlgorithm, SIGNATURE_ALGORITHMS } from '../ring/algorithms.ts'
import type { RingName } from '../ring/key.ts'
import { type RotationPolicies, signatureRing } from '../ring/policy.ts'

/** Finds the ring for a key of another system. Pure. */

/**
 * Configured ring of a key; undefined if there is none. A key whose source names no algorithm may
 * sign with several, so it takes the first ring that it fits.
 * @param named ring that an operator names
 */
export function ringOf(
  key: ImportedKey,
  policies: RotationPolicies,
  named?: RingName,
): RingName | undefined {
  const rings = policies.rings.filter(({ published }) => published).map(({ ring }) => ring)
  if (named !== undefined) return rings.includes(named) && fits(key, named) ? named : undefined
  const own = signatureRing(key.algorithm)
  if (rings.includes(own)) return own
  return key.algorithmGiven ? undefined : rings.find((ring) => fits(key, ring))
}

/** Configuration that gives the algorithm a ring, in addition to the existing rings. */
export function ringLines(algorithm: string): string {
  return `rotation: { rings: { ${signatureRing(algorithm)}: {} } }`
}

function fits({ jwk, algorithm, algorithmGiven }: ImportedKey, ring: RingName): boolean {
  const wanted = ring.slice(ring.indexOf('/') + 1)
  if (algorithmGiven) return wanted === algorithm
  if (!isSignatureAlgorithm(wanted)) return false
  const { kty, scheme } = SIGNATURE_ALGORITHMS[wanted]
  const curve = 'namedCurve' in scheme ? scheme.namedCurve : undefined
  return kty === jwk.kty && (curve === undefined || curve === jwk.crv)
}
