import { userInfo } from 'node:os'
import type { Order } from '../ring/orders.ts'
import { proseProblem } from '../values/text.ts'
import type { JsonOption } from './context.ts'
import { textArgument } from './words.ts'

/** Options of orders: who gives the order, and why. */

export interface OrderOptions extends Order, JsonOption {}

/**
 * Parses a reason or a name for commander, strictly, because an event cannot be corrected later.
 */
export const proseArgument = textArgument(proseProblem)

/** The default actor. A container may run under a user id without a name. */
export function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
