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
   * Consumes a code or token and saves what is issued for it. Where the store can do both at once
   * (SQLite, Redis outside a Cluster), both or neither happens.
   * @param noteUndo called before the write with the undo of the consumption
   * @returns false if an answer to the token is already kept; nothing is issued then
   * @throws UsedMeanwhile if the code or token was consumed before and no answer is to be kept;
   * everything issued under its grant is revoked then
   * @throws LostRace if it does not exist; StoreUnavailable
   */
  exchange(exchange: Exchange, noteUndo?: (undo: Undo) => void): Promise<boolean>
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

/** A code or token, and what the token endpoint issues for it. */
export interface Exchange {
  /** The code or token to consume. */
  readonly used: { readonly model: string; readonly id: string }
  readonly issued: readonly NewArtifact[]
  /**
   * The answer to a refresh token, kept for repeated requests. With it, the token may have been
   * consumed before, and the first kept answer decides.
   */
  readonly answer?: NewArtifact
}

export interface NewArtifact {
  readonly model: string
  readonly id: string
  readonly payload: AdapterPayload
  /** Seconds; undefined if it does not expire. */
  readonly expiresIn: number | undefined
}

/** An adapter of oidc-provider whose `consume` can be undone. */
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
   * Consumes an artifact whatever consumed it before, because its answer is given to a client:
   * undos that were noted before have no effect any more. Does nothing if there is no artifact.
   * @param at instant of the consumption, in seconds
   * @throws StoreUnavailable
   */
  consumeAgain(id: string, at: number): Promise<void>
}

/**
 * Undoes a consumption, if the artifact was consumed by this very call. May be called again.
 * @throws StoreUnavailable
 */
export type Undo = () => Promise<void>

/** Field that names the owner of artifacts. */
export type Owner = Parameters<ArtifactStore['forget']>[0]
