import type { ImportedKey } from '../import/imported-key.ts'
import { isSignatureAlgorithm, SIGNATURE_ALGORITHMS } from '../ring/algorithms.ts'
import type { RingName } from '../ring/key.ts'
import { type RotationPolicies, signatureRing } from '../ring/policy.ts'

/** Which ring a key of another system belongs to. Pure. */

/**
 * The configured ring of a key; undefined where there is none. A key that may sign with several algorithms,
 * because its source names none, takes the first ring that it fits.
 * @param named by an operator
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

/** The lines of a configuration that give a ring to the algorithm, beside the rings that are there. */
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
