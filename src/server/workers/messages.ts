import type { Registry } from 'prom-client'
import type { Config } from '../../config/schema.ts'
import type { Readiness } from '../readiness.ts'

/** What the primary and its workers say to each other over their IPC channel. */

/** All metrics of one process, as its registry gives them. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** What the primary can ask a worker, and what the answer is. */
export interface Answers {
  readonly readiness: Readiness
  readonly metrics: MetricsSnapshot
}

export type Answer = Answers[keyof Answers]

export type FromPrimary =
  /** The answer to `hello`. All workers have one configuration, whatever became of its file. */
  | { readonly type: 'start'; readonly config: Config }
  | { readonly type: 'ask'; readonly id: number; readonly question: keyof Answers }
  | { readonly type: 'stop' }

export type FromWorker =
  /** It listens to its primary: what was sent before would be lost. */
  | { readonly type: 'hello' }
  /** It answers requests. */
  | { readonly type: 'ready'; readonly started: Started }
  /** It ends, and this is why. */
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer | undefined }

/** What the primary has to know of a worker that has started. */
export interface Started {
  /** Of the first administrators; only on a first start. Shown once, never logged. */
  readonly administrators: readonly FirstPassword[]
}

/** How the first administrator of an issuer signs in for the first time. */
export interface FirstPassword {
  readonly issuer: string
  readonly username: string
  readonly oneTimePassword: string
}
