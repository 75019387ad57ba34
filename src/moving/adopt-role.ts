import type { ImportedKey } from '../import/imported-key.ts'

/** Roles of the keys of one ring. Pure. */

export type Role =
  /** Goes on signing. */
  | 'signer'
  /** Signs after the signer. */
  | 'next'
  /** Verifies tokens that it signed elsewhere. */
  | 'old'

/** Role that `keys add --as` gives to all keys of a file. */
export type GivenRole = 'active' | 'standby' | 'validation'

export interface Roles {
  readonly signer: ImportedKey | undefined
  /** Keys to sign next, in order of activation. */
  readonly next: readonly ImportedKey[]
  readonly old: readonly ImportedKey[]
}

/**
 * Assigns the roles. One key signs: the one that the source names, otherwise the first that has a
 * private half; if the source calls all keys old, the newest of them, so that a ring never loses
 * its signer by moving. If the source does not distinguish next keys from old ones, a key is old
 * unless it is named.
 * @param next kids that an operator names as next
 */
export function rolesOf(
  keys: readonly ImportedKey[],
  {
    next: named = [],
    as,
  }: { readonly next?: readonly string[] | undefined; readonly as?: GivenRole | undefined },
): Roles {
  if (as === 'validation') return { signer: undefined, next: [], old: keys }
  if (as === 'standby') return { signer: undefined, next: keys, old: [] }
  const able = keys.filter((key) => key.private)
  const isNext = (key: ImportedKey) => named.includes(key.kid) || key.phaseHint === 'next'
  const signer = signerAmong(able.filter((key) => !isNext(key)))
  const next = able
    .filter((key) => key !== signer && isNext(key))
    .toSorted((a, b) => (a.activatesAt ?? Infinity) - (b.activatesAt ?? Infinity))
  const old = keys.filter((key) => key !== signer && !next.includes(key))
  return { signer, next, old: old.toSorted((a, b) => bornAt(a) - bornAt(b)) }
}

/** The parts of some keys, as they are among all. */
export function onlyAmong({ signer, next, old }: Roles, keys: readonly ImportedKey[]): Roles {
  const among = new Set(keys)
  const isAmong = (key: ImportedKey) => among.has(key)
  return {
    signer: signer && isAmong(signer) ? signer : undefined,
    next: next.filter(isAmong),
    old: old.filter(isAmong),
  }
}

function signerAmong(able: readonly ImportedKey[]): ImportedKey | undefined {
  const active = newest(able.filter(({ phaseHint }) => phaseHint === 'active'))
  return active ?? able.find(({ phaseHint }) => phaseHint === undefined) ?? newest(able)
}

/** Newest key; of keys without a known date, the first. */
function newest(keys: readonly ImportedKey[]): ImportedKey | undefined {
  return keys.toSorted((a, b) => bornAt(b) - bornAt(a))[0]
}

function bornAt({ createdAt, activatesAt }: ImportedKey): number {
  return createdAt ?? activatesAt ?? 0
}
