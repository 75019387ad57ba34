import type { ImportedKey } from '../import/imported-key.ts'

/** What each of the keys of one ring is to be here. Pure. */

export type Role =
  /** Signs on. */
  | 'signer'
  /** Signs after it. */
  | 'next'
  /** Verifies what it signed elsewhere. */
  | 'old'

/** The part that `keys add --as` gives to all keys of a file. */
export type GivenRole = 'active' | 'standby' | 'validation'

export interface Roles {
  readonly signer: ImportedKey | undefined
  /** In order of activation. */
  readonly next: readonly ImportedKey[]
  readonly old: readonly ImportedKey[]
}

/**
 * One key signs: the one that the source says, else the first whose private half is there, or of keys that
 * are all said to be old the newest, so that a ring never loses its signer by moving. Where the source cannot
 * tell a key that is next from an old one, it is old unless it is named.
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

function signerAmong(able: readonly ImportedKey[]): ImportedKey | undefined {
  const active = newest(able.filter(({ phaseHint }) => phaseHint === 'active'))
  return active ?? able.find(({ phaseHint }) => phaseHint === undefined) ?? newest(able)
}

/** The last made; of those whose making nobody knows, the first. */
function newest(keys: readonly ImportedKey[]): ImportedKey | undefined {
  return keys.toSorted((a, b) => bornAt(b) - bornAt(a))[0]
}

function bornAt({ createdAt, activatesAt }: ImportedKey): number {
  return createdAt ?? activatesAt ?? 0
}
