import type { Owner } from './artifact-store.ts'

/**
 * Owners of each kind whose names are remembered, as a hash costs every token of a client some
 * microseconds.
 */
const KNOWN_OWNERS = 2000

/**
 * How a record says whose it is (`ArtifactRecords.ownerName`).
 * @param nameOf hash of a kind and an id, of one issuer
 */
export function createOwnerNames(nameOf: (owner: Owner, id: string) => string) {
  const known = { accountId: new Map<string, string>(), clientId: new Map<string, string>() }
  return (owner: Owner, id: string): string => {
    const { [owner]: names } = known
    const found = names.get(id)
    if (found !== undefined) return found
    const name = nameOf(owner, id)
    if (names.size >= KNOWN_OWNERS) names.clear()
    names.set(id, name)
    return name
  }
}
