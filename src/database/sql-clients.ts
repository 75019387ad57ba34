import { type DataSource, In, Like, Not } from 'typeorm'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { ClientMetadata } from '../clients/client.ts'
import type { ClientStore } from '../clients/client-store.ts'
import { OPTIONAL_ANSWERS, type WantedAlgorithm } from '../clients/signed-answers.ts'
import type { Clock } from '../clock.ts'
import type { Authentic } from './authentic.ts'
import { whileOthersWrite, writeChanges } from './change-row.ts'
import { attempt, attemptRead } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { clientSchema, consentSchema } from './tables.ts'

export interface ClientStoreOptions {
  readonly dataSource: DataSource
  readonly artifacts: Pick<ArtifactStore, 'forget' | 'forgetClients'>
  readonly authentic: Authentic
  readonly clock: Clock
}

export function createClientStore(options: ClientStoreOptions): ClientStore {
  const { dataSource, artifacts, authentic, clock } = options
  const { issuer } = authentic
  const clients = dataSource.getRepository(clientSchema)
  /** Deletes consents and artifacts, because an id that is used again is another client. */
  const forget = async (clientId: string) => {
    await dataSource.getRepository(consentSchema).delete({ issuer, clientId })
    await artifacts.forget('clientId', clientId)
  }
  const notAmong = (ids: readonly string[]) =>
    clients.findBy({ issuer, source: 'config', id: Not(In([...ids])) })
  const write = async (configured: readonly ClientMetadata[]) => {
    const { clients: rows } = await authentic.open()
    const source = 'config'
    for (const metadata of configured) {
      const known = await clients.findOneBy({ issuer, id: metadata.client_id })
      // Unchanged clients are not written again.
      if (rows.isSame(known, metadata, source)) continue
      const row = { ...rows.toRow(metadata, { source, updatedAt: clock.now() }), issuer }
      await clients.upsert(row, ['issuer', 'id'])
    }
    artifacts.forgetClients()
  }
  /** Algorithms of other answers, for which only the few clients that name them are read. */
  const others = async (): Promise<readonly WantedAlgorithm[]> => {
    const { clients: rows } = await authentic.open()
    const named = await clients.find({
      where: OPTIONAL_ANSWERS.map((answer) => ({ issuer, metadata: Like(`%"${answer}":%`) })),
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
  const all = () => clients.find({ where: { issuer }, order: { id: 'ASC' } })
  return {
    list: () =>
      attemptRead('read the clients', async () => {
        const { clients: rows } = await authentic.open()
        return (await all()).flatMap((row) => rows.toClient(row) ?? [])
      }),
    find: (id) =>
      attemptRead('read a client', async () => {
        const { clients: rows } = await authentic.open()
        return rows.toClient((await clients.findOneBy({ issuer, id })) ?? undefined)
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
        const known = await clients.existsBy({ issuer, id: row.id })
        if (known) return false
        await insertNew(dataSource.manager, clientSchema, { ...row, issuer })
        artifacts.forgetClients()
        return clients.existsBy({ issuer, id: row.id, metadata: row.metadata })
      }),
    change: (id, decide) =>
      attempt('change a client', async () => {
        const { clients: rows } = await authentic.open()
        const changed = await whileOthersWrite('the client', async () => {
          const row = (await clients.findOneBy({ issuer, id })) ?? undefined
          const known = rows.toClient(row)
          const metadata = known && decide(known)
          if (!row || !known || !metadata) return { done: undefined }
          const { source } = known
          const after = rows.toRow(metadata, { source, updatedAt: clock.now() }, known)
          // The MAC covers all fields, so an equal MAC means an equal row.
          const isDone = await writeChanges(clients, { issuer, id, mac: row.mac }, row, after)
          return isDone ? { done: rows.toClient(after) } : undefined
        })
        artifacts.forgetClients()
        return changed
      }),
    remove: (id) =>
      attempt('remove a client', async () => {
        // The client last, so that a repetition after a busy database has the same result.
        await forget(id)
        const { affected } = await clients.delete({ issuer, id })
        artifacts.forgetClients()
        return affected === 1
      }),
    replaceConfigured: (configured) =>
      attempt('write the configured clients', async () => {
        for (const { id } of await notAmong(configured.map((metadata) => metadata.client_id))) {
          await forget(id)
          // The condition on the source spares a client that an operator made meanwhile.
          await clients.delete({ issuer, id, source: 'config' })
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
          .where({ issuer })
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
