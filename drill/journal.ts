/**
 * Record of faults, lost requests and violations, with instants in milliseconds since the epoch by
 * this machine's clock.
 */
export interface Journal {
  /** Counts one fault. */
  fault(kind: string): void
  /** Opens a window in which requests may be lost. @returns function that closes it */
  excuse(excuse: Omit<Excuse, 'to' | 'from'>): () => void
  /** Notes that the machine did not let a process run. */
  stalled(span: Span): void
  /** Seconds in which a process could not run. */
  readonly stalledFor: () => number
  /** Notes a lost request; a request without an excuse is a violation. */
  lost(request: LostRequest): void
  /**
   * Notes a lost first attempt: later steps may fail because of it, although another node answered.
   */
  retried(request: LostRequest): void
  /** The excuse for a failure in this time, and at this node if known. */
  excuseFor(span: Span, node: string | undefined): Excuse | undefined
  /** Notes how many milliseconds something took. */
  took(what: string, milliseconds: number): void
  readonly times: ReadonlyMap<string, readonly number[]>
  /** True if any request was lost in this time. */
  wasLost(span: Span): boolean
  violation(rule: string, detail: string): void
  readonly faults: ReadonlyMap<string, number>
  /** Number of lost requests by cause. */
  readonly lostTo: ReadonlyMap<string, number>
  readonly violations: readonly Violation[]
}

export interface Span {
  readonly from: number
  readonly to: number
}

export interface Excuse extends Span {
  /** Name of the cause, such as `stopped database`. */
  readonly cause: string
  /** Node whose requests are excused; all nodes if undefined. */
  readonly node?: string
  /** Excuses only requests that were lost in this way; all requests if undefined. */
  readonly why?: string
  /** Ways in which requests may be lost; other consequences are excused anyway. */
  readonly lostBy?: readonly string[]
}

export interface LostRequest extends Span {
  readonly request: string
  readonly node: string | undefined
  readonly why: string
}

export interface Violation {
  readonly rule: string
  readonly detail: string
  readonly at: number
}

export interface JournalOptions {
  readonly onViolation: (violation: Violation) => void
  /** True once violations are not counted any more. */
  readonly isOver: () => boolean
}

/** Cause that excuses everything that depends on being in time. */
export const STALLED = 'stalled machine'
/**
 * Milliseconds after an excuse in which consequences occur, because caches and rings are too old.
 */
const AFTERMATH = 2000

export function createJournal({ onViolation, isOver }: JournalOptions): Journal {
  const faults = new Map<string, number>()
  const lostTo = new Map<string, number>()
  const violations: Violation[] = []
  const losses: Span[] = []
  const times = new Map<string, readonly number[]>()
  const excuses: (Omit<Excuse, 'to'> & { to: number })[] = []

  const excuseFor = ({ from, to }: Span, node: string | undefined, why?: string) =>
    excuses.find(
      (excuse) =>
        excuse.from <= to &&
        from <= excuse.to &&
        (!excuse.node || excuse.node === node) &&
        (!excuse.why || excuse.why === why) &&
        (!excuse.lostBy || why === undefined || excuse.lostBy.includes(why)),
    )
  const violation = (rule: string, detail: string) => {
    if (isOver()) return
    const found = { rule, detail, at: Date.now() }
    violations.push(found)
    onViolation(found)
  }
  let stalledFor = 0
  let stalledUntil = 0
  return {
    stalled: ({ from, to }) => {
      stalledFor += Math.max(0, to - Math.max(from, stalledUntil)) / 1000
      stalledUntil = Math.max(stalledUntil, to)
      excuses.push({ cause: STALLED, from, to: to + AFTERMATH })
    },
    stalledFor: () => stalledFor,
    times,
    took: (what, milliseconds) => {
      times.set(what, [...(times.get(what) ?? []), milliseconds])
    },
    faults,
    lostTo,
    violations,
    violation,
    excuseFor,
    fault: (kind) => count(faults, kind),
    excuse: (excuse) => {
      const opened = { ...excuse, from: Date.now(), to: Infinity }
      excuses.push(opened)
      return () => {
        opened.to = Math.min(opened.to, Date.now())
      }
    },
    wasLost: ({ from, to }) => losses.some((loss) => loss.from <= to && from <= loss.to),
    retried: ({ from, to, node }) => {
      if (excuseFor({ from, to }, node)) losses.push({ from, to })
    },
    lost: (request) => {
      losses.push({ from: request.from, to: request.to })
      const cause = excuseFor(request, request.node, request.why)?.cause
      count(lostTo, cause ?? 'nothing')
      if (cause) return
      const { request: name, node = 'no node', why, from, to } = request
      const seconds = ((to - from) / 1000).toFixed(2)
      violation('lost request', `${name} at ${node} after ${seconds} s: ${why}`)
    },
  }
}

/** Adds to a count. */
export function count<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}

/** An error with its cause, in words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : ` (${JSON.stringify(error.cause)})`
  return `${error.message}${cause}`
}
