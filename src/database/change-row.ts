import { isDeepStrictEqual } from 'node:util'
import type { FindOptionsWhere, ObjectLiteral, Repository } from 'typeorm'
import { StoreUnavailable } from '../errors.ts'

/**
 * Most attempts to change a row that other processes change at the same time: each reads, decides,
 * and writes unless the row has changed meanwhile. One process succeeds in each round, and fewer
 * processes than this change the same row.
 */
const ROUNDS = 100

/**
 * Repeats `round` until it succeeds.
 * @param what words that follow "Cannot change"
 * @param round returns undefined if another process wrote the row after it was read @throws
 * StoreUnavailable if other processes were always faster
 */
export async function whileOthersWrite<T>(
  what: string,
  round: () => Promise<{ readonly done: T } | undefined>,
): Promise<T> {
  for (let left = ROUNDS; left > 0; left -= 1) {
    const answer = await round()
    if (answer) return answer.done
  }
  throw new StoreUnavailable(`Cannot change ${what}: others change it all the time. Try again.`)
}

/**
 * Writes the columns in which two rows differ.
 * @param where condition that finds the row while it is unchanged @returns false if the row has
 * changed meanwhile
 */
export async function writeChanges<T extends ObjectLiteral>(
  rows: Repository<T>,
  where: FindOptionsWhere<T>,
  before: ObjectLiteral,
  after: ObjectLiteral,
): Promise<boolean> {
  const columns = differing<T>(before, after)
  return columns === undefined || (await rows.update(where, columns)).affected === 1
}

/** The columns of `after` that `before` has otherwise; undefined if there are none. */
export function differing<T extends ObjectLiteral>(
  before: ObjectLiteral,
  after: ObjectLiteral,
): T | undefined {
  const changed = Object.keys(after).filter((name) => !isDeepStrictEqual(before[name], after[name]))
  if (changed.length === 0) return undefined
  // Some columns of a row, with the values of the row.
  return Object.fromEntries(changed.map((name) => [name, after[name]])) as T
}
