import { isDeepStrictEqual } from 'node:util'
import type { FindOptionsWhere, ObjectLiteral, Repository } from 'typeorm'
import { StoreUnavailable } from '../errors.ts'

/**
 * Rows that several processes change at once: each reads, decides, and writes what it changed, unless
 * the row is another one by then. Somebody gets through in each round, so this is more rounds than
 * there can be processes that change one row.
 */
const ROUNDS = 100

/**
 * Does `round` again until it gets through.
 * @param what ends the sentence "Cannot change ..."
 * @param round gives undefined where somebody else wrote the row after it was read
 * @throws StoreUnavailable where others were always faster
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
 * @param where finds the row while it is still `before`
 * @returns false where it is another one by then
 */
export async function writeChanges<T extends ObjectLiteral>(
  rows: Repository<T>,
  where: FindOptionsWhere<T>,
  before: ObjectLiteral,
  after: ObjectLiteral,
): Promise<boolean> {
  const changed = Object.keys(after).filter((name) => !isDeepStrictEqual(before[name], after[name]))
  if (changed.length === 0) return true
  // Some columns of a row, with the values of the row.
  const columns = Object.fromEntries(changed.map((name) => [name, after[name]])) as T
  return (await rows.update(where, columns)).affected === 1
}
