import { IssuerRenamed } from './deployment-errors.ts'

/**
 * The names that records of issuers are bound to, by issuer: only those that are not the issuer's URL.
 * Keys, events, people and clients are authenticated for one issuer. What authenticates them is made
 * of a name that stays, so that an issuer can be given another URL without all of them being written anew:
 *
 * - A deployment of a version that knew of one issuer only bound its records to no name: ''.
 * - An issuer that was renamed keeps the name that it had.
 *
 * The names are sealed with the secret of the deployment, so that who writes the store cannot give the
 * records of one issuer to another.
 */
export type BoundNames = Readonly<Record<string, string>>

/** What the records of an issuer are bound to. @throws IssuerRenamed */
export function boundName(names: BoundNames, issuer: string): string {
  if (Object.hasOwn(names, issuer)) return names[issuer] ?? issuer
  const owner = Object.keys(names).find((name) => names[name] === issuer)
  if (owner !== undefined) throw new IssuerRenamed(issuer, owner)
  return issuer
}

/** What the names are while an issuer gets another URL, and afterwards. */
export interface Renaming {
  /** Both URLs have the same records, so that it can be done again wherever it was cut off. */
  readonly during: BoundNames
  readonly after: BoundNames
}

/** @throws IssuerRenamed where `from` has another URL already */
export function planRenaming(names: BoundNames, from: string, to: string): Renaming {
  const bound = boundName(names, from)
  const { [from]: _, [to]: __, ...others } = names
  return {
    during: { ...others, [from]: bound, [to]: bound },
    // What is bound to the URL that it has needs no entry.
    after: bound === to ? others : { ...others, [to]: bound },
  }
}

/** Was it begun, and not ended? */
export function isRenaming(names: BoundNames, from: string, to: string): boolean {
  return Object.hasOwn(names, from) && Object.hasOwn(names, to) && names[from] === names[to]
}
