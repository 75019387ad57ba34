import type { Adapter, AdapterPayload } from 'oidc-provider'

/**
 * Stores what oidc-provider saves for one issuer and what expires: sessions, codes, tokens, grants,
 * interactions; and looks up clients. Used by every request. Every implementation passes
 * `test/conformance/artifacts.ts`.
 */
export interface ArtifactStore {
  /**
   * Makes an adapter for oidc-provider's setting `adapter`.
   * @param model name of one of its models
   */
  adapter(model: string): ArtifactAdapter
  /**
   * Deletes the sessions, grants and tokens of a person or a client. Issued JWT access tokens still
   * verify until they expire, but introspection reports them as inactive.
   * @throws StoreUnavailable
   */
  forget(owner: 'accountId' | 'clientId', id: string): Promise<void>
  /**
   * Empties the cache of clients after a change, so that the next look-up reads the database.
   * Without this call a node notices a change within CLIENT_CACHE seconds (`client-adapter.ts`).
   */
  forgetClients(): void
}

/** An adapter of oidc-provider whose `consume` can be undone, with further methods of Keyturn. */
export interface ArtifactAdapter extends Adapter {
  /**
   * Consumes an artifact. If several requests consume it at once, one succeeds; each other one
   * revokes everything issued under the grant.
   * @param noteUndo called before the write with its undo, because after a lost connection the
   * outcome is unknown
   * @throws UsedMeanwhile if the artifact was consumed before; `goneMeanwhile` if it does not exist
   * @throws StoreUnavailable
   */
  consume(id: string, noteUndo?: (undo: Undo) => void): Promise<void>
  /**
   * Consumes an artifact; if it was consumed before, nothing is revoked. For callers that allow a
   * second use.
   * @returns true if the artifact exists
   * @throws StoreUnavailable
   */
  consumeOrLeave(id: string, noteUndo?: (undo: Undo) => void): Promise<boolean>
  /**
   * Saves a record whose id may be saved only once within its lifetime. It is found by its id
   * alone.
   * @param expiresIn seconds
   * @returns true if this call saved it; of several requests at once only one gets true
   * @throws StoreUnavailable
   */
  saveOnce(id: string, payload: AdapterPayload, expiresIn: number): Promise<boolean>
}

/**
 * Undoes a consumption, if the artifact was consumed by this very call. May be called again.
 * @throws StoreUnavailable
 */
export type Undo = () => Promise<void>

/** Field that names the owner of artifacts. */
export type Owner = Parameters<ArtifactStore['forget']>[0]
