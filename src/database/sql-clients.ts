import type { ClientAction, Entry, Ordered } from '../audit/record.ts'
import { changedNames } from '../clients/change.ts'
import type { ClientStore } from '../clients/client-store.ts'
import { whileOthersWrite } from './change-row.ts'
import { readAlgorithms } from './client-algorithms.ts'
import { type ClientStoreOptions, createConfiguredClients } from './configured-clients.ts'
import { attempt, attemptRead } from './failures.ts'
import { createRecorder } from './recorder.ts'
import { clientSchema, consentSchema } from './tables.ts'

export function createClientStore(options: ClientStoreOptions): ClientStore {
  const { dataSource, artifacts, authentic, clock } = options
  const { issuer } = authentic
  const clients = dataSource.getRepository(clientSchema)
  const recorder = createRecorder(dataSource, authentic)
  /** Deletes consents and artifacts, because an id that is used again is another client. */
  const forget = async (clientId: string) => {
    await dataSource.getRepository(consentSchema).delete({ issuer, clientId })
    await artifacts.forget('clientId', clientId)
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
    add: (metadata, by) =>
      attempt('add a client', async () => {
        const { clients: rows } = await authentic.open()
        const row = rows.toRow(metadata, { source: 'operator', updatedAt: clock.now() })
        const known = await clients.existsBy({ issuer, id: row.id })
        if (known) return false
        const entry = entryOf(by, row.id, changedNames(undefined, metadata))
        const isAdded = await recorder.insert(clientSchema, { ...row, issuer }, entry)
        artifacts.forgetClients()
        return isAdded
      }),
    change: (id, decide, by) =>
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
          const isDone = await recorder.update(
            clientSchema,
            { issuer, id, mac: row.mac },
            { before: row, after },
            entryOf(by, id, changedNames(known.metadata, metadata)),
          )
          return isDone ? { done: rows.toClient(after) } : undefined
        })
        artifacts.forgetClients()
        return changed
      }),
    remove: (id, by) =>
      attempt('remove a client', async () => {
        // The client last, so that a repetition after a busy database has the same result.
        await forget(id)
        const isRemoved = await recorder.remove(clientSchema, { issuer, id }, entryOf(by, id))
        artifacts.forgetClients()
        return isRemoved
      }),
    ...createConfiguredClients(options, { forget, recorder }),
    signingAlgorithms: () =>
      attemptRead('read the algorithms of clients', () => readAlgorithms(dataSource, authentic)),
  }
}

function entryOf(
  by: Ordered<ClientAction> | undefined,
  id: string,
  changed: readonly string[] = [],
): Entry | undefined {
  return by && { by, subject: { id }, changed }
}
