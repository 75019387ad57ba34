import { Refused } from '../errors.ts'
import type { publishedCertificates } from '../import/certificates.ts'
import type { ImportedKey } from '../import/imported-key.ts'
import type { RingName } from '../ring/key.ts'
import type { RingFacts } from '../ring/lifecycle.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { ringOf } from './adopt-ring.ts'
import type { GivenRole } from './adopt-role.ts'

/** Tells which keys of another system are already in the rings. Pure. */

/** Keys of the rings, with what is known of them. */
export interface Present extends RingFacts {
  /** Thumbprints (RFC 7638) by kid. */
  readonly thumbprints: ReadonlyMap<string, string>
  /** Published certificates by kid. */
  readonly certificates?: ReadonlyMap<string, ReturnType<typeof publishedCertificates>>
}

/**
 * Tells whether the ring already has the key. `half`: it has the key only to verify, and the
 * private half is now added. Another key of the same kid is never replaced, because relying parties
 * could not tell the two apart.
 * @throws Refused
 */
export function presenceOf(
  key: ImportedKey,
  ring: RingName,
  present: Present,
  { as }: { readonly as?: GivenRole | undefined },
): 'none' | 'half' | 'whole' {
  const { kid, thumbprint } = key
  const same = present.keys.find((each) => each.kid === kid)
  if (!same) return 'none'
  const isSame = present.thumbprints.get(kid) === thumbprint
  const isHalf = same.verifiesOnly === true && key.private && as !== 'validation'
  if (!isSame || (isHalf && same.ring !== ring)) {
    throw new Refused(
      'kid_taken',
      { kid },
      `A key ${kid} is in ring ${same.ring} already, and it is ${isSame ? 'published with that algorithm' : 'another one'}. ` +
        'Relying parties could not tell the two apart. Nothing was added.',
    )
  }
  return isHalf ? 'half' : 'whole'
}

/** Policies, and the ring that an operator names. */
interface Placing {
  readonly policies: RotationPolicies
  readonly ring?: RingName | undefined
}

/**
 * Keys that moved into the ring earlier and were revoked since. They come in no more, and had their
 * part in the old system nevertheless.
 */
export function revokedSince(
  keys: readonly ImportedKey[],
  ring: RingName,
  present: Present,
  { policies, ring: named }: Placing,
): readonly ImportedKey[] {
  const revoked = revokedKids(present.events)
  const here = new Set(present.keys.map(({ kid }) => kid))
  return keys.filter(
    (key) => revoked.has(key.kid) && here.has(key.kid) && ringOf(key, policies, named) === ring,
  )
}

/** kids of keys that were revoked each by itself, whether the rings still have them or not. */
export function revokedKids(events: RingFacts['events']): ReadonlySet<string> {
  return new Set(events.flatMap((event) => (event.type === 'revoke' ? event.kid : [])))
}
