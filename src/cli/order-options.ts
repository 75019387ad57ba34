import { userInfo } from 'node:os'
import type { Command } from 'commander'
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

/** Adds the options of an order, neither of which must be given. */
export function withOrder(command: Command): Command {
  return command
    .option('--reason <text>', 'recorded with the event', proseArgument, 'not given')
    .option(
      '--actor <name>',
      'who gives the order; recorded with the event',
      proseArgument,
      systemUser(),
    )
}

/** The default actor. A container may run under a user id without a name. */
export function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
