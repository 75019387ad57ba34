import type { RingProblem } from './problem.ts'

/** Where a ring is kept: a directory, a list in Redis, a table. Elements are added, never changed. */

export interface StoredElement {
  /** Where in the store, for messages: the name of a file, or the place in a list or table. */
  readonly source: string
  /** Undefined where there is nothing: an empty row, which ASP.NET Core passes over. */
  readonly content:
    | undefined
    | { readonly text: string; readonly hasStrayMark?: boolean }
    /** `mayRevoke`: in what is there, something may be a revocation. */
    | { readonly problem: Omit<RingProblem, 'source'>; readonly mayRevoke?: boolean }
}

export interface StoredRing {
  readonly elements: readonly StoredElement[]
  /** Changes with each element that comes or goes. */
  readonly version: string
}

/** An element to add. */
export interface NewElement {
  /** Without ending, such as `key-18ae0118-bd7f-4478-8909-a88ceadabdf1`. */
  readonly name: string
  /** With indentation, as in a file. */
  readonly indented: string
  /** On one line, as in Redis and SQL. */
  readonly line: string
}

export interface RingStore {
  /** For messages, without password. */
  readonly where: string
  /** @throws KeyRingUnreadable `ring_unavailable` */
  read(): Promise<StoredRing>
  /**
   * Adds an element unless the ring changed since it was read. Of several nodes that add at once, one
   * succeeds. Where this fails, the element may or may not be there: read again.
   * @returns false where the ring changed
   * @throws KeyRingUnreadable `ring_unavailable`
   */
  append(element: NewElement, version: string): Promise<boolean>
  close(): Promise<void>
}
