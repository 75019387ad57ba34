import type { RingProblem } from './problem.ts'

/** Store of a ring: a directory, a list in Redis, or a table. Elements are added, never changed. */

export interface StoredElement {
  /** Place in the store, for messages: the name of a file, or the place in a list or table. */
  readonly source: string
  /** Content; undefined for an empty row, which ASP.NET Core ignores. */
  readonly content:
    | undefined
    | { readonly text: string; readonly hasStrayMark?: boolean }
    /** `mayRevoke` is true if the content may include a revocation. */
    | { readonly problem: Omit<RingProblem, 'source'>; readonly mayRevoke?: boolean }
}

export interface StoredRing {
  readonly elements: readonly StoredElement[]
  /** Version, which changes with each element that is added or removed. */
  readonly version: string
}

/** An element to add. */
export interface NewElement {
  /** Name without ending, such as `key-18ae0118-bd7f-4478-8909-a88ceadabdf1`. */
  readonly name: string
  /** Text with indentation, as in a file. */
  readonly indented: string
  /** Text on one line, as in Redis and SQL. */
  readonly line: string
}

export interface RingStore {
  /** Name of the store for messages, without a password. */
  readonly where: string
  /** Reads the ring. @throws KeyRingUnreadable `ring_unavailable` */
  read(): Promise<StoredRing>
  /**
   * Adds an element unless the ring has changed since it was read. Of several nodes that add at
   * once, one succeeds. After an error, the element may or may not be in the store: read again.
   * @returns false if the ring has changed
   * @throws KeyRingUnreadable `ring_unavailable`
   */
  append(element: NewElement, version: string): Promise<boolean>
  close(): Promise<void>
}
