import { type Stall, watchStalls } from './stalls.ts'

/**
 * Loaded into a node before anything else: the parent process sets the node's clock, and is told
 * when the machine did not let the node run. The monotonic clock (`performance.now`) is not
 * changed, as when an operator sets the clock of a machine.
 */

let offset = 0

class SkewedDate extends Date {
  // Arguments are passed on unchanged, because no type covers all forms that `Date` accepts.
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
// The channel to the parent must not keep a stopped server alive.
process.channel?.unref()
watchStalls((stall) => {
  if (process.connected) process.send?.({ stall } satisfies NodeMessage)
})

/** Message of the parent: milliseconds by which this process is ahead of the machine's clock. */
export interface ClockMessage {
  readonly clockOffset: number
}

/** Message to the parent. */
export interface NodeMessage {
  readonly stall: Stall
}
