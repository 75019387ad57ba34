import { type Stall, watchStalls } from './stalls.ts'

/**
 * Loaded into a node before anything else: its parent sets its clock, and hears when the machine
 * did not let it run. Time that cannot be set
 * (`performance.now`) goes on as it does when an operator sets the clock of a machine.
 */

let offset = 0

class SkewedDate extends Date {
  // No type says that `Date` takes none, a number, text or parts; it is handed on as it came.
  constructor(...args: []) {
    super(...(args.length === 0 ? ([SkewedDate.now()] as unknown as []) : args))
  }

  static override now(): number {
    return REAL_NOW() + offset
  }
}

const REAL_NOW = Date.now
globalThis.Date = SkewedDate as DateConstructor

process.on('message', (message: ClockMessage) => {
  offset = message.clockOffset
})
// The parent's connection alone does not keep a server alive that has stopped.
process.channel?.unref()
watchStalls((stall) => {
  if (process.connected) process.send?.({ stall } satisfies NodeMessage)
})

/** What the parent sends: milliseconds by which this process is ahead of the machine. */
export interface ClockMessage {
  readonly clockOffset: number
}

/** What it tells the parent. */
export interface NodeMessage {
  readonly stall: Stall
}
