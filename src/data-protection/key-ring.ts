import { dateOf, formatTicks, ticksOf } from '../values/ticks.ts'
import { type DefaultKey, nextChangeAt, resolveDefaultKey } from './default-key.ts'
import type { Certificate } from './encrypted-xml.ts'
import type { RingProblem } from './problem.ts'
import { checkPurposes, createProtector, type LiveRing, type Protector } from './protector.ts'
import { createAssembler, type Ring, type RingKey } from './ring.ts'
import type { RingStore } from './ring-store.ts'

/** A key of a ring, for people. Dates are in UTC with seven digits of a second. */
export interface KeyInfo {
  readonly id: string
  readonly creationDate: string
  readonly activationDate: string
  readonly expirationDate: string
  readonly revoked: boolean
}

/** A ring as it was last read; {@link KeyRing.reload} reads it again. */
export interface KeyRing {
  /** Keys in the order of the store. */
  readonly keys: readonly KeyInfo[]
  /** Problems with single elements. The first access opens every secret. */
  readonly problems: readonly RingProblem[]
  /**
   * Tells which key an ASP.NET Core process protects with.
   * @param now default: the clock of the ring; text may have seven digits of a second
   */
  defaultKey(now?: Date | string): DefaultKey
  /**
   * Makes a protector for these purposes, below the application name.
   * @throws TypeError if there is no purpose
   */
  createProtector(...purposes: string[]): Protector
  /**
   * Reads the store again. Existing protectors use the new state.
   * @throws KeyRingUnreadable, after which the ring stays as it was
   */
  reload(): Promise<void>
  /** Closes the connections that were opened for the ring. */
  close(): Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export interface KeyRingOptions {
  readonly certificates: readonly Certificate[]
  /** Name as in `SetApplicationName`; without it, the path of the content root. */
  readonly applicationName: string | undefined
  readonly now: () => Date
}

/** Loads a ring from its store. @throws KeyRingUnreadable */
export async function loadKeyRing(store: RingStore, options: KeyRingOptions): Promise<KeyRing> {
  const { certificates, applicationName, now } = options
  const assemble = createAssembler(certificates)
  let ring: Ring
  let byId = new Map<string, RingKey>()
  let protecting: Protecting | undefined
  let [begun, shown] = [0, 0]

  const reload = async () => {
    begun += 1
    const number = begun
    const { elements } = await store.read()
    // A later reload has ended already, and may know of a revocation that this one does not.
    if (number < shown) return
    ring = assemble(elements)
    shown = number
    byId = new Map(ring.keys.map((key) => [key.id, key]))
    protecting = undefined
  }
  await reload()

  const live: LiveRing = {
    current: () => ring,
    key: (id) => byId.get(id),
    protecting: () => {
      const instant = now()
      const time = instant.getTime()
      if (!protecting || time < protecting.from || time >= protecting.until) {
        protecting = resolveProtecting(ring, instant)
      }
      return protecting.key
    },
    now,
  }
  // An empty name counts as none, but a blank counts as a name (reference, 2.8).
  const application = applicationName ? [applicationName] : []
  const close = () => store.close()
  return {
    get keys() {
      return ring.keys.map(infoOf)
    },
    get problems() {
      return ring.problems()
    },
    defaultKey: (instant = now()) => resolveDefaultKey(ring.keys, ticksOf(instant)),
    createProtector: (...purposes) =>
      createProtector(live, [...application, ...checkPurposes(purposes)]),
    reload,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/**
 * The key that protects, and the period in milliseconds, as `Date` counts, in which that is known.
 */
interface Protecting {
  readonly key: RingKey | undefined
  readonly from: number
  readonly until: number
}

function resolveProtecting(ring: Ring, instant: Date): Protecting {
  const now = ticksOf(instant)
  const { key, fallback } = resolveDefaultKey(ring.keys, now)
  const id = key ?? fallback
  const change = nextChangeAt(ring.keys, now)
  return {
    key: ring.keys.find((one) => one.id === id),
    from: instant.getTime(),
    until: change === undefined ? Number.POSITIVE_INFINITY : dateOf(change).getTime(),
  }
}

export function infoOf({ id, createdAt, activatesAt, expiresAt, revoked }: RingKey): KeyInfo {
  return {
    id,
    creationDate: formatTicks(createdAt),
    activationDate: formatTicks(activatesAt),
    expirationDate: formatTicks(expiresAt),
    revoked,
  }
}
