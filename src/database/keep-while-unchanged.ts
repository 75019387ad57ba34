/** Most values that are kept. */
const MOST = 1000

/**
 * Keeps what was read and checked until the database changes, because a sign-in reads its account
 * several times, and each request its client. A value is never older than the last commit that
 * `version` has told.
 * @param version see `ArtifactPlace.version`; without it nothing is kept
 */
export function keepWhileUnchanged<Value>(
  read: (...key: readonly string[]) => Promise<Value | undefined>,
  version: (() => number | undefined) | undefined,
): (...key: readonly string[]) => Promise<Value | undefined> {
  if (!version) return read
  const kept = new Map<string, Value>()
  let keptVersion: number | undefined
  return async (...key) => {
    const current = version()
    if (current !== keptVersion || kept.size >= MOST) kept.clear()
    keptVersion = current
    // NUL can separate the parts, because a key with NUL finds nothing (`look-up.ts`).
    const name = key.join('\0')
    const known = kept.get(name)
    if (known !== undefined) return known
    const value = await read(...key)
    // Another call may have seen a newer version meanwhile.
    if (value !== undefined && current === keptVersion) kept.set(name, value)
    return value
  }
}
