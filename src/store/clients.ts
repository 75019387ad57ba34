import { type DataSource, In, Like, Not } from 'typeorm'
import { OPTIONAL_ANSWERS, type WantedAlgorithm } from '../clients/signed-answers.ts'
import type { Clock } from '../clock.ts'
import type { ArtifactStore } from './artifact-store.ts'
import type { Authentic } from './authentic.ts'
import { whileOthersWrite, writeChanges } from './change-row.ts'
import type { Client, ClientMetadata } from './client-rows.ts'
import { attempt, attemptRead } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { clientSchema, consentSchema } from './schema.ts'

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

export interface ClientStoreOptions {
  readonly dataSource: DataSource
  readonly artifacts: Pick<ArtifactStore, 'forget' | 'forgetClients'>
  readonly authentic: Authentic
  readonly clock: Clock
}

export function createClientStore(options: ClientStoreOptions): ClientStore {
  const { dataSource, artifacts, authentic, clock } = options
  const clients = dataSource.getRepository(clientSchema)
  /** What people agreed to and what was handed out: an id that is used again is another client. */
  const forget = async (clientId: string) => {
    await dataSource.getRepository(consentSchema).delete({ clientId })
    await artifacts.forget('clientId', clientId)
  }
  const notAmong = (ids: readonly string[]) =>
    clients.findBy({ source: 'config', id: Not(In([...ids])) })
  const write = async (configured: readonly ClientMetadata[]) => {
    const { clients: rows } = await authentic.open()
    const source = 'config'
    for (const metadata of configured) {
      const known = await clients.findOneBy({ id: metadata.client_id })
      // A second start changes nothing.
      if (rows.isSame(known, metadata, source)) continue
      await clients.upsert(rows.toRow(metadata, { source, updatedAt: clock.now() }), ['id'])
    }
    artifacts.forgetClients()
  }
  /** Few clients name any of these, and only they are read as a whole. */
  const others = async (): Promise<readonly WantedAlgorithm[]> => {
    const { clients: rows } = await authentic.open()
    const named = await clients.find({
      where: OPTIONAL_ANSWERS.map((answer) => ({ metadata: Like(`%"${answer}":%`) })),
      order: { id: 'ASC' },
    })
    const wanted = new Map<string, WantedAlgorithm>()
    for (const { id, metadata } of named.flatMap((row) => rows.toClient(row) ?? [])) {
      for (const answer of OPTIONAL_ANSWERS) {
        const { [answer]: algorithm } = metadata
        const name = `${answer} ${algorithm}`
        if (typeof algorithm !== 'string' || wanted.has(name)) continue
        wanted.set(name, { answer, algorithm, client: id })
      }
    }
    return [...wanted.values()]
  }
  const all = () => clients.find({ order: { id: 'ASC' } })
  return {
    list: () =>
      attemptRead('read the clients', async () => {
        const { clients: rows } = await authentic.open()
        return (await all()).flatMap((row) => rows.toClient(row) ?? [])
      }),
    find: (id) =>
      attemptRead('read a client', async () => {
        const { clients: rows } = await authentic.open()
        return rows.toClient((await clients.findOneBy({ id })) ?? undefined)
      }),
    forged: () =>
      attemptRead('read the clients', async () => {
        const { clients: rows } = await authentic.open()
        return (await all()).filter((row) => !rows.toClient(row)).map(({ id }) => id)
      }),
    add: (metadata) =>
      attempt('add a client', async () => {
        const { clients: rows } = await authentic.open()
        const row = rows.toRow(metadata, { source: 'operator', updatedAt: clock.now() })
        const known = await clients.existsBy({ id: row.id })
        if (known) return false
        await insertNew(dataSource.manager, clientSchema, row)
        artifacts.forgetClients()
        return clients.existsBy({ id: row.id, metadata: row.metadata })
      }),
    change: (id, decide) =>
      attempt('change a client', async () => {
        const { clients: rows } = await authentic.open()
        const changed = await whileOthersWrite('the client', async () => {
          const row = (await clients.findOneBy({ id })) ?? undefined
          const known = rows.toClient(row)
          const metadata = known && decide(known)
          if (!row || !known || !metadata) return { done: undefined }
          const { source } = known
          const after = rows.toRow(metadata, { source, updatedAt: clock.now() }, known)
          // The MAC is of all fields: where it is the same, so is the row.
          const isDone = await writeChanges(clients, { id, mac: row.mac }, row, after)
          return isDone ? { done: rows.toClient(after) } : undefined
        })
        artifacts.forgetClients()
        return changed
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
        for (const { id } of await notAmong(configured.map((metadata) => metadata.client_id))) {
          await forget(id)
          // An operator may have made a client of that name meanwhile.
          await clients.delete({ id, source: 'config' })
        }
        await write(configured)
      }),
    writeConfigured: (configured) =>
      attempt('write the configured clients', async () => {
        await write(configured)
        const others = await notAmong(configured.map((metadata) => metadata.client_id))
        return others.map(({ id }) => id)
      }),
    signingAlgorithms: () =>
      attemptRead('read the algorithms of clients', async () => {
        const ofIdTokens = await clients
          .createQueryBuilder('client')
          .select('client.idTokenAlgorithm', 'algorithm')
          .addSelect('MIN(client.id)', 'client')
          .groupBy('client.idTokenAlgorithm')
          .getRawMany<{ algorithm: string; client: string }>()
        const answer = 'id_token_signed_response_alg'
        return [
          ...ofIdTokens.map((wanted) => ({ answer, ...wanted }) as const),
          ...(await others()),
        ]
      }),
  }
}
