import assert from 'node:assert/strict'
import {
  type KeyFacts,
  nextChangeAt,
  resolveDefaultKey,
} from '../../src/data-protection/default-key.ts'
import { KeyRingUnreadable } from '../../src/data-protection/errors.ts'
import { createKeeper, type RingKeeper } from '../../src/data-protection/keeper.ts'
import { assembleRing } from '../../src/data-protection/ring.ts'
import type { RingStore } from '../../src/data-protection/ring-store.ts'
import { formatTicks, type Ticks } from '../../src/values/ticks.ts'

/** Nodes that keep a ring in a time of their own. */

export const START = Date.parse('2026-01-01T09:00:00Z')
export const HOUR = 3_600_000
export const DAY = 24 * HOUR

/** A node with a clock of its own, in milliseconds. */
export function node(store: RingStore, clock: { time: number }, offset = 0): RingKeeper {
  return createKeeper({ store, now: () => new Date(clock.time + offset) })
}

/** Fails one time in ten: before it did anything, or after it did all of it. */
export function failing(store: RingStore, random: () => number): RingStore {
  const lost = () => new KeyRingUnreadable('ring_unavailable', 'The store is away')
  const faulty = async <T>(act: () => Promise<T>): Promise<T> => {
    const chance = random()
    if (chance < 0.05) throw lost()
    const result = await act()
    if (chance < 0.1) throw lost()
    return result
  }
  return {
    ...store,
    read: () => faulty(() => store.read()),
    append: (element, version) => faulty(() => store.append(element, version)),
  }
}

/** The keys of a store, to ask the resolver about. */
export async function factsIn(store: RingStore): Promise<readonly KeyFacts[]> {
  return assembleRing((await store.read()).elements, []).keys
}

/** Asserts that there is a default key at each instant between two. */
export function assertNoGap(keys: readonly KeyFacts[], from: Ticks, to: Ticks) {
  for (let at: Ticks | undefined = from; at !== undefined && at < to; at = nextChangeAt(keys, at)) {
    assert.notEqual(resolveDefaultKey(keys, at).key, null, formatTicks(at))
    assert.notEqual(resolveDefaultKey(keys, at - 1n + BigInt(at === from)).key, null)
  }
}
