import { type DataSource, In, Not } from 'typeorm'
import type { Clock } from '../clock.ts'
import type { ArtifactStore } from './artifact-store.ts'
import { attempt, attemptRead } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { type ClientRow, clientSchema, consentSchema } from './schema.ts'

/** OAuth client metadata (RFC 7591, section 2). */
export type ClientMetadata = Readonly<Record<string, unknown>> & { readonly client_id: string }

/** What a client gets for its ID tokens unless it says otherwise (OIDC Registration, section 2). */
export const DEFAULT_ID_TOKEN_ALGORITHM = 'RS256'

export interface Client {
  readonly id: string
  readonly metadata: ClientMetadata
  /** Written by the configuration file or by an operator. */
  readonly source: ClientRow['source']
  readonly updatedAt: number
}

export interface ClientStore {
  /** In order of client_id. */
  list(): Promise<readonly Client[]>
  find(id: string): Promise<Client | undefined>
  /** Inserts a client. @returns false where the client_id is taken */
  add(metadata: ClientMetadata): Promise<boolean>
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
  /** The ID-token algorithms that clients use, each with one of its clients. */
  idTokenAlgorithms(): Promise<readonly { readonly algorithm: string; readonly client: string }[]>
}

export interface ClientStoreOptions {
  readonly dataSource: DataSource
  readonly artifacts: Pick<ArtifactStore, 'forget' | 'forgetClients'>
  readonly clock: Clock
}

export function createClientStore(options: ClientStoreOptions): ClientStore {
  const { dataSource, artifacts, clock } = options
  const clients = dataSource.getRepository(clientSchema)
  /** What people agreed to and what was handed out: an id that is used again is another client. */
  const forget = async (clientId: string) => {
    await dataSource.getRepository(consentSchema).delete({ clientId })
    await artifacts.forget('clientId', clientId)
  }
  const toRow = (metadata: ClientMetadata, source: ClientRow['source']): ClientRow => ({
    id: metadata.client_id,
    metadata: JSON.stringify(metadata),
    idTokenAlgorithm: idTokenAlgorithm(metadata),
    source,
    updatedAt: clock.now(),
  })
  const notAmong = (ids: readonly string[]) =>
    clients.findBy({ source: 'config', id: Not(In([...ids])) })
  const write = async (rows: readonly ClientRow[]) => {
    for (const row of rows) {
      const known = await clients.findOneBy({ id: row.id })
      // A second start changes nothing.
      if (known?.source === row.source && known.metadata === row.metadata) continue
      await clients.upsert(row, ['id'])
    }
    artifacts.forgetClients()
  }
  return {
    list: () =>
      attemptRead('read the clients', async () =>
        (await clients.find({ order: { id: 'ASC' } })).map(toClient),
      ),
    find: (id) =>
      attemptRead('read a client', async () => {
        const row = await clients.findOneBy({ id })
        return row ? toClient(row) : undefined
      }),
    add: (metadata) =>
      attempt('add a client', async () => {
        const row = toRow(metadata, 'operator')
        const known = await clients.existsBy({ id: row.id })
        if (known) return false
        await insertNew(dataSource.manager, clientSchema, row)
        artifacts.forgetClients()
        return clients.existsBy({ id: row.id, metadata: row.metadata })
      }),
    remove: (id) =>
      attempt('remove a client', async () => {
        // The client last: what is done again because the database was busy then ends the same.
        await forget(id)
        const { affected } = await clients.delete({ id })
        artifacts.forgetClients()
        return affected === 1
      }),
    replaceConfigured: (configured) =>
      attempt('write the configured clients', async () => {
        const rows = configured.map((metadata) => toRow(metadata, 'config'))
        const ids = rows.map((row) => row.id)
        for (const { id } of await notAmong(ids)) {
          await forget(id)
          await clients.delete({ id })
        }
        await write(rows)
      }),
    writeConfigured: (configured) =>
      attempt('write the configured clients', async () => {
        const rows = configured.map((metadata) => toRow(metadata, 'config'))
        await write(rows)
        return (await notAmong(rows.map((row) => row.id))).map(({ id }) => id)
      }),
    idTokenAlgorithms: () =>
      attemptRead('read the algorithms of clients', () =>
        clients
          .createQueryBuilder('client')
          .select('client.idTokenAlgorithm', 'algorithm')
          .addSelect('MIN(client.id)', 'client')
          .groupBy('client.idTokenAlgorithm')
          .getRawMany<{ algorithm: string; client: string }>(),
      ),
  }
}

function idTokenAlgorithm({ id_token_signed_response_alg: algorithm }: ClientMetadata): string {
  return typeof algorithm === 'string' ? algorithm : DEFAULT_ID_TOKEN_ALGORITHM
}

function toClient({ id, metadata, source, updatedAt }: ClientRow): Client {
  return { id, metadata: JSON.parse(metadata), source, updatedAt }
}
