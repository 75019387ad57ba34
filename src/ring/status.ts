import type { RingView } from './view.ts'

/** How the rings of this node are, for signatures, readiness, metrics and heartbeats. */
export interface RingStatus {
  /** Seconds since the ring was last loaded; Infinity before the first time. */
  ringAge(): number
  /** Why this node may neither sign nor serve the JWKS, in words; undefined while it may. */
  obstacle(): string | undefined
  /** Neither revoked nor retired for longer than twice the skew, on a node that may sign? */
  maySign(kid: string): boolean
  readonly view: RingView | undefined
  /** Why the last turn failed; undefined after one that succeeded. */
  readonly failure: Error | undefined
  /** Turns that failed since the last one that succeeded. */
  readonly failures: number
  readonly warnings: readonly string[]
}
