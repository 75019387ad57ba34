import type { Registry } from 'prom-client'
import type { Config } from '../../config/schema.ts'
import type { Readiness } from '../readiness.ts'

/** Messages between the primary and its workers over their IPC channel. */

/** All metrics of a process, in the form of its registry. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** Questions of the primary to a worker, with their answers. */
export interface Answers {
  readonly readiness: Readiness
  readonly metrics: MetricsSnapshot
}

export type Answer = Answers[keyof Answers]

export type FromPrimary =
  /**
   * The answer to `hello`. All workers have the same configuration, even if its file has changed.
   */
  | { readonly type: 'start'; readonly config: Config }
  | { readonly type: 'ask'; readonly id: number; readonly question: keyof Answers }
  | { readonly type: 'stop' }

export type FromWorker =
  /** The worker listens to its primary; earlier messages would be lost. */
  | { readonly type: 'hello' }
  /** The worker answers requests. */
  | { readonly type: 'ready'; readonly started: Started }
  /** The worker ends for this reason. */
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer | undefined }

/** Report of a worker that has started. */
export interface Started {
  /** Passwords of the first administrators; only on a first start. Shown once, never logged. */
  readonly administrators: readonly FirstPassword[]
}

/** Name and one-time password of an issuer's first administrator. */
export interface FirstPassword {
  readonly issuer: string
  readonly username: string
  readonly oneTimePassword: string
}
