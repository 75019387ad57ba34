import type { Client, ClientMetadata } from './client.ts'
import type { WantedAlgorithm } from './signed-answers.ts'

/** A client that fails its check, as somebody else wrote or changed it, is absent. */
export interface ClientStore {
  /** In order of client_id. */
  list(): Promise<readonly Client[]>
  find(id: string): Promise<Client | undefined>
  /** The ids of clients that fail their check, to be removed. */
  forged(): Promise<readonly string[]>
  /**
   * Inserts a client.
   * @returns false where the client_id is taken
   * @throws Refused for a secret that cannot be kept
   */
  add(metadata: ClientMetadata): Promise<boolean>
  /**
   * Puts the metadata that `decide` makes of a client in the place of what it has; what it was given stays.
   * Where somebody else changed it meanwhile, `decide` is asked again with what is there then.
   * @param decide gives undefined where nothing is to change; what it throws is thrown
   * @returns the client as it is then; undefined where there is none, or `decide` gave nothing
   */
  change(
    id: string,
    decide: (known: Client) => ClientMetadata | undefined,
  ): Promise<Client | undefined>
  /**
   * With all that it was given and allowed until now. Servers that know it may go on for a while
   * (`ArtifactStore.forgetClients`).
   * @returns false where there is none
   */
  remove(id: string): Promise<boolean>
  /** Makes the clients that came from the configuration be exactly these. */
  replaceConfigured(clients: readonly ClientMetadata[]): Promise<void>
  /**
   * Writes the clients of this node's configuration and leaves those of another's alone: nodes are
   * not configured all at once, and one whose file is old must not remove what is new.
   * @returns the ids of clients that another configuration, or an earlier one, has written
   */
  writeConfigured(clients: readonly ClientMetadata[]): Promise<readonly string[]>
  /** What clients want signed with which algorithms, each with one of its clients. */
  signingAlgorithms(): Promise<readonly WantedAlgorithm[]>
}
