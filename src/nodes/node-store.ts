import type { NodeReport } from './node.ts'

/**
 * Stores the nodes' reports, and has the clock with which nodes compare theirs. The validity of
 * tokens does not depend on this store. Every implementation passes
 * `test/conformance/node-store.ts`; all methods reject with StoreUnavailable.
 */
export interface NodeStore {
  /**
   * The store's clock, in seconds with fraction; undefined if the store uses this machine's clock,
   * so that there is nothing to compare.
   */
  time(): Promise<number | undefined>
  /** Puts the report in the place of the one before from the same node on the same issuer. */
  report(node: NodeReport): Promise<void>
  /** All that are stored, in order of id and issuer. */
  list(): Promise<readonly NodeReport[]>
  /** Removes the report of a node that stops in good order. */
  remove(node: Pick<NodeReport, 'id' | 'issuer'>): Promise<void>
  /** Deletes reports of nodes that were last seen before an instant. */
  forget(before: number): Promise<void>
}
