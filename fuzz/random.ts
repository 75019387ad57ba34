/** Repeatable randomness: the same seed gives the same requests. */
export interface Random {
  /** A whole number from 0, below `end`. */
  below(end: number): number
  /** True with a probability of 1 in `cases`. */
  oneIn(cases: number): boolean
  pick<T>(items: readonly T[]): T
}

/** mulberry32: small, quick, and good enough to mutate requests. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number) => Math.floor(next() * end)
  return {
    below,
    oneIn: (cases) => below(cases) === 0,
    pick: (items) => {
      if (items.length === 0) throw new TypeError('there is nothing to pick from')
      // The index is below the length, so the item exists.
      return items[below(items.length)] as (typeof items)[number]
    },
  }
}
