import type { ClientAction, Ordered } from '../audit/record.ts'
import type { Client, ClientMetadata } from './client.ts'
import type { WantedAlgorithm } from './signed-answers.ts'

/**
 * Clients of one issuer. A client whose MAC is wrong counts as absent, because it is forged.
 *
 * A change by an order (`by`) is recorded together with it (`audit/record.ts`), both or neither.
 * Changes by the configuration are recorded too.
 */
export interface ClientStore {
  /** Lists all clients in the order of client_id. */
  list(): Promise<readonly Client[]>
  find(id: string): Promise<Client | undefined>
  /** Lists the ids of clients whose MAC is wrong, for their removal. */
  forged(): Promise<readonly string[]>
  /**
   * Inserts a client.
   * @returns false if the client_id is taken
   * @throws Refused if the secret cannot be stored
   */
  add(metadata: ClientMetadata, by?: Ordered<ClientAction>): Promise<boolean>
  /**
   * Replaces the metadata of a client by those that `decide` returns; its grants and consents stay.
   * Calls `decide` again if another process changed the client meanwhile.
   * @param decide returns undefined to change nothing; its errors are passed on
   * @returns the changed client; undefined if there is none, or `decide` returned undefined
   */
  change(
    id: string,
    decide: (known: Client) => ClientMetadata | undefined,
    by?: Ordered<ClientAction>,
  ): Promise<Client | undefined>
  /**
   * Removes a client with its tokens, grants and consents. Servers that cached the client may issue
   * more for a while (`ArtifactStore.forgetClients`).
   * @returns false if there is no such client
   */
  remove(id: string, by?: Ordered<ClientAction>): Promise<boolean>
  /** Makes these the only clients that come from the configuration. */
  replaceConfigured(clients: readonly ClientMetadata[]): Promise<void>
  /**
   * Writes the clients of this node's configuration and leaves other configured clients alone,
   * because nodes are not updated all at once and a node with an old file must not remove newer
   * clients.
   * @returns the ids of clients that only another or an earlier configuration has
   */
  writeConfigured(clients: readonly ClientMetadata[]): Promise<readonly string[]>
  /** Lists the algorithms that clients ask for, each with one client that does. */
  signingAlgorithms(): Promise<readonly WantedAlgorithm[]>
}
