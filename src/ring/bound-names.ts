import { IssuerRenamed } from './deployment-errors.ts'

/**
 * Names that records are bound to, by issuer, for those issuers whose name is not their URL. Keys,
 * events, people and clients are authenticated for one issuer under a name that never changes, so
 * that an issuer can get another URL without its records being written anew:
 *
 * - A deployment of a version with a single issuer bound its records to no name: ''.
 * - An issuer that was renamed keeps its former name.
 *
 * The names are sealed with the secret of the deployment, so that somebody with write access to the
 * store cannot give the records of one issuer to another.
 */
export type BoundNames = Readonly<Record<string, string>>

/** The name that the records of an issuer are bound to. @throws IssuerRenamed */
export function boundName(names: BoundNames, issuer: string): string {
  if (Object.hasOwn(names, issuer)) return names[issuer] ?? issuer
  const owner = Object.keys(names).find((name) => names[name] === issuer)
  if (owner !== undefined) throw new IssuerRenamed(issuer, owner)
  return issuer
}

/** Names while an issuer gets another URL, and afterwards. */
export interface Renaming {
  /** Both URLs have the same records, so that an interrupted renaming can be repeated. */
  readonly during: BoundNames
  readonly after: BoundNames
}

/** Plans to give an issuer another URL. @throws IssuerRenamed if `from` has another URL already */
export function planRenaming(names: BoundNames, from: string, to: string): Renaming {
  const bound = boundName(names, from)
  const { [from]: _, [to]: __, ...others } = names
  return {
    during: { ...others, [from]: bound, [to]: bound },
    // Records that are bound to the issuer's present URL need no entry.
    after: bound === to ? others : { ...others, [to]: bound },
  }
}

/** True if the renaming was begun and is not complete. */
export function isRenaming(names: BoundNames, from: string, to: string): boolean {
  return Object.hasOwn(names, from) && Object.hasOwn(names, to) && names[from] === names[to]
}
