import { Refused } from '../errors.ts'
import type { ImportedKey } from '../import/imported-key.ts'
import type { GivenRole } from './adopt-role.ts'

/** Checks which keys an operator may let sign. Pure. */

/** Checks that keys which are to sign have their private half. @throws Refused */
export function assertAble(
  keys: readonly ImportedKey[],
  { as }: { readonly as?: GivenRole | undefined },
): void {
  if (as !== 'active' && as !== 'standby') return
  const half = keys.find((key) => !key.private)
  if (half) throw publicOnly(half.kid)
}

/**
 * Checks kids, because a misspelt one must not let a key leave that is to sign.
 * @param next kids that an operator names as next
 * @throws Refused
 */
export function assertNextKnown(
  keys: readonly ImportedKey[],
  { next = [] }: { readonly next?: readonly string[] | undefined },
): void {
  for (const kid of next) {
    const key = keys.find((each) => each.kid === kid)
    if (key && !key.private) throw publicOnly(kid)
    if (key) continue
    const message = `The source has no key ${kid} that could come in, so it cannot be the next one to sign.`
    throw new Refused('next_unknown', { kid }, message)
  }
}

function publicOnly(kid: string): Refused {
  const message = `Key ${kid} has no private half, so it can only be added for validation.`
  return new Refused('key_public_only', { kid }, message)
}
