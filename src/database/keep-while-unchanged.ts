/** Most values that are kept. */
const MOST = 1000

/**
 * Keeps what was read and checked until the database changes, because a sign-in reads its account
 * several times, and each refresh once. A value is never older than the last commit.
 * @param version see `ArtifactPlace.version`
 */
export function keepWhileUnchanged<T>(
  read: (id: string) => Promise<T | undefined>,
  version: () => number | undefined,
): (id: string) => Promise<T | undefined> {
  const kept = new Map<string, T>()
  let keptVersion: number | undefined
  return async (id) => {
    const current = version()
    if (current !== keptVersion || kept.size >= MOST) kept.clear()
    keptVersion = current
    const known = kept.get(id)
    if (known !== undefined) return known
    const value = await read(id)
    // Another call may have seen a newer version meanwhile.
    if (value !== undefined && current === keptVersion) kept.set(id, value)
    return value
  }
}
