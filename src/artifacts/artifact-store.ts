import type { Adapter, AdapterPayload } from 'oidc-provider'

/**
 * What oidc-provider stores for one issuer and what expires: sessions, codes, tokens, grants,
 * interactions; and its look-ups of clients. On the path of every request. Every implementation passes
 * `test/conformance/artifacts.ts`.
 */
export interface ArtifactStore {
  /** For the `adapter` setting of oidc-provider, made anew. @param model name of one of its models */
  adapter(model: string): ArtifactAdapter
  /**
   * Deletes the sessions, grants and tokens of a person or a client. JWT access tokens that were
   * handed out verify until they expire; introspection knows no more of them.
   * @throws StoreUnavailable
   */
  forget(owner: 'accountId' | 'clientId', id: string): Promise<void>
  /**
   * A client was added, changed or removed: the next look-up asks the database. Where nobody says
   * so, a node knows it within CLIENT_CACHE seconds (`client-adapter.ts`).
   */
  forgetClients(): void
}

/** An adapter whose `consume` can be undone, and that also does what oidc-provider does not ask for. */
export interface ArtifactAdapter extends Adapter {
  /**
   * Of several requests at once one gets through; the others take all down that came of the grant.
   * @param noteUndo is told beforehand how to undo it, as nobody may know in the end whether it was done
   * @throws UsedMeanwhile where it was consumed before; `goneMeanwhile` where it is not there
   * @throws StoreUnavailable
   */
  consume(id: string, noteUndo?: (undo: Undo) => void): Promise<void>
  /**
   * Consumes it, unless that was done before, which takes nothing down: for who lets it be used again.
   * @returns is it there?
   * @throws StoreUnavailable
   */
  consumeOrLeave(id: string, noteUndo?: (undo: Undo) => void): Promise<boolean>
  /**
   * Saves what may be saved once within its life. It is found by its id alone.
   * @param expiresIn seconds
   * @returns was it saved? Of several requests at once one is told so
   * @throws StoreUnavailable
   */
  saveOnce(id: string, payload: AdapterPayload, expiresIn: number): Promise<boolean>
}

/**
 * Lets what was consumed be consumed again, if it was consumed by this very call. May be tried again.
 * @throws StoreUnavailable
 */
export type Undo = () => Promise<void>

/** Whose artifacts are asked for. */
export type Owner = Parameters<ArtifactStore['forget']>[0]
