import { userInfo } from 'node:os'
import type { Order } from '../ring/orders.ts'
import { proseProblem } from '../values/text.ts'
import type { JsonOption } from './context.ts'
import { textArgument } from './words.ts'

/** Who gives an order and why, as options of commands. */

export interface OrderOptions extends Order, JsonOption {}

/** For commander: a reason or a name. Events are facts: what cannot be read in them cannot be mended. */
export const proseArgument = textArgument(proseProblem)

/** Who is taken for the actor where nobody is named. A container may run under a number without a name. */
export function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
