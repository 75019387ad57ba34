/**
 * What happened and when, in milliseconds since the epoch of this machine: faults, requests that
 * were lost, and everything that must not happen.
 */
export interface Journal {
  /** Counts one fault. */
  fault(kind: string): void
  /** Opens a window in which requests may be lost. @returns what closes it */
  excuse(excuse: Omit<Excuse, 'to' | 'from'>): () => void
  /** The machine did not let a process run. */
  stalled(span: Span): void
  /** Seconds of it. */
  readonly stalledFor: () => number
  /** Says what a request was lost to; a request that nothing excuses is a violation. */
  lost(request: LostRequest): void
  /** A first attempt that was lost: what hangs on it may fail, though another node answered. */
  retried(request: LostRequest): void
  /** What excuses a failure in this time, at this node where one is known. */
  excuseFor(span: Span, node: string | undefined): Excuse | undefined
  /** Notes how many milliseconds something took. */
  took(what: string, milliseconds: number): void
  readonly times: ReadonlyMap<string, readonly number[]>
  /** Was any request lost in this time? */
  wasLost(span: Span): boolean
  violation(rule: string, detail: string): void
  readonly faults: ReadonlyMap<string, number>
  /** Lost requests by what they were lost to. */
  readonly lostTo: ReadonlyMap<string, number>
  readonly violations: readonly Violation[]
}

export interface Span {
  readonly from: number
  readonly to: number
}

export interface Excuse extends Span {
  /** Such as `stopped database`. */
  readonly cause: string
  /** The node whose requests it excuses; all of them if undefined. */
  readonly node?: string
  /** Excuses requests that were lost in this way, and nothing else; all of them if undefined. */
  readonly why?: string
  /** Excuses no request that was lost in another way than these, but whatever else came of it. */
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
  /** From then on violations are not counted. */
  readonly isOver: () => boolean
}

/** What excuses everything that depends on being in time. */
export const STALLED = 'stalled machine'
/** Milliseconds that its consequences last: caches and rings are older than they should be. */
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

/** Adds one. */
export function count<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
