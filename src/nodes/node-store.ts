import type { NodeReport } from './node.ts'

/**
 * Where nodes tell of themselves, and whose clock they compare theirs with. Nothing that keeps
 * tokens valid depends on it. Every implementation passes `test/conformance/node-store.ts`; all
 * methods reject with StoreUnavailable.
 */
export interface NodeStore {
  /**
   * The clock of the store, in seconds with fraction; undefined where that is the clock of this
   * machine, so that there is nothing to compare.
   */
  time(): Promise<number | undefined>
  /** Puts the report in the place of the one before from the same node on the same issuer. */
  report(node: NodeReport): Promise<void>
  /** All that are stored, in order of id and issuer. */
  list(): Promise<readonly NodeReport[]>
  /** A node that stops in good order. */
  remove(node: Pick<NodeReport, 'id' | 'issuer'>): Promise<void>
  /** Forgets nodes that were last seen before an instant. */
  forget(before: number): Promise<void>
}
