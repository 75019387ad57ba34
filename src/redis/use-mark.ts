import { randomBytes } from 'node:crypto'

const PROCESS = randomBytes(9).toString('base64url')
let uses = 0

/**
 * Consumption mark of one use, different from every other, so that a repeated command can be told
 * from another attempt.
 */
export function createUseMark(now: number): string {
  uses += 1
  return `${now} ${PROCESS}${uses.toString(36)}`
}
