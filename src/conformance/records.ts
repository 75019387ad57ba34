import type { SerializedEvent, SerializedKey } from '../ring/key-store.ts'

/** Records with which the suites of key stores work. */

/**
 * A record of a key with a given generation. Its data is not sealed, because no store looks at it.
 */
export function serializedKey(
  generation: number,
  more: Partial<SerializedKey> = {},
): SerializedKey {
  return {
    id: `kid-${generation}`,
    version: 1,
    ring: 'sig/ES256',
    generation,
    algorithm: 'ES256',
    created: 1_700_000_000,
    // Beyond 32 bits, because instants must not end in 2038.
    activatesAt: 5_000_000_000 + generation,
    retention: 1_209_600,
    isX509Certificate: false,
    data: `sealed ${generation}`,
    dataProtected: true,
    ...more,
  }
}

export function serializedEvent(name: string, at: number): SerializedEvent {
  return { id: `revoke/${name}`, ring: 'sig/ES256', type: 'revoke', at, data: `ünïcode "${name}"` }
}

export function byId(events: readonly SerializedEvent[]): readonly SerializedEvent[] {
  return events.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}
