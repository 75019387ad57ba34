/** Pseudo-random numbers, the same for the same seed. */
export interface Random {
  /** A number of at least 0 and less than 1. */
  number(): number
  /** A number of at least `from` and less than `to`. */
  between(from: number, to: number): number
  /** @throws RangeError for an empty list */
  pick<T>(from: readonly T[]): T
  /** The list in another order. */
  shuffle<T>(list: readonly T[]): readonly T[]
}

/**
 * Mulberry32. Each purpose has its own sequence, so that the use of one does not change the numbers
 * of another.
 * @param purpose such as `faults`
 */
export function createRandom(seed: number, purpose: string): Random {
  let state = seed >>> 0
  for (const letter of purpose) state = (Math.imul(state, 31) + letter.charCodeAt(0)) >>> 0
  const number = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const pick = <T>(from: readonly T[]): T => {
    if (from.length === 0) throw new RangeError('nothing to pick from')
    // The list is not empty, so the index exists.
    return from[Math.floor(number() * from.length)] as T
  }
  return {
    number,
    between: (from, to) => from + number() * (to - from),
    pick,
    shuffle: (list) =>
      list
        .map((item) => ({ item, place: number() }))
        .sort((a, b) => a.place - b.place)
        .map(({ item }) => item),
  }
}
