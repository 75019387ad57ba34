import { type DataSource, In, Not } from 'typeorm'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { ClientAction, Entry } from '../audit/record.ts'
import { changedNames } from '../clients/change.ts'
import type { Client, ClientMetadata } from '../clients/client.ts'
import { compareSecret } from '../clients/client-secret.ts'
import type { ClientStore } from '../clients/client-store.ts'
import type { Clock } from '../clock.ts'
import type { Authentic } from './authentic.ts'
import { whileOthersWrite } from './change-row.ts'
import { attempt } from './failures.ts'
import type { Recorder } from './recorder.ts'
import { clientSchema } from './tables.ts'

export interface ClientStoreOptions {
  readonly dataSource: DataSource
  readonly artifacts: Pick<ArtifactStore, 'forget' | 'forgetClients'>
  readonly authentic: Authentic
  readonly clock: Clock
}

interface ConfiguredOptions {
  /** Deletes what people agreed to and what was handed out for a client. */
  readonly forget: (clientId: string) => Promise<void>
  readonly recorder: Recorder
}

/** Clients that the configuration has, in the table of all clients. */
export function createConfiguredClients(
  { dataSource, artifacts, authentic, clock }: ClientStoreOptions,
  { forget, recorder }: ConfiguredOptions,
): Pick<ClientStore, 'replaceConfigured' | 'writeConfigured'> {
  const { issuer } = authentic
  const clients = dataSource.getRepository(clientSchema)
  const notAmong = (ids: readonly string[]) =>
    clients.findBy({ issuer, source: 'config', id: Not(In([...ids])) })
  const write = async (configured: readonly ClientMetadata[]) => {
    const { clients: rows } = await authentic.open()
    const source = 'config'
    for (const metadata of configured) {
      const id = metadata.client_id
      // Nodes with the same configuration may start at once; one of them writes and records.
      await whileOthersWrite('a configured client', async () => {
        const before = await clients.findOneBy({ issuer, id })
        // Unchanged clients are not written again.
        if (rows.isSame(before, metadata, source)) return { done: undefined }
        const after = { ...rows.toRow(metadata, { source, updatedAt: clock.now() }), issuer }
        const known = rows.toClient(before ?? undefined)
        const entry = entryOf(known ? 'client_updated' : 'client_added', id, {
          changed: namesChanged(known, metadata),
          at: clock.now(),
        })
        const isDone = await (before
          ? recorder.update(clientSchema, { issuer, id, mac: before.mac }, { before, after }, entry)
          : recorder.insert(clientSchema, after, entry))
        return isDone ? { done: undefined } : undefined
      })
    }
    artifacts.forgetClients()
  }
  return {
    replaceConfigured: (configured) =>
      attempt('write the configured clients', async () => {
        for (const { id } of await notAmong(configured.map((metadata) => metadata.client_id))) {
          await forget(id)
          // The condition on the source spares a client that an operator made meanwhile.
          const entry = entryOf('client_removed', id, { changed: [], at: clock.now() })
          await recorder.remove(clientSchema, { issuer, id, source: 'config' }, entry)
        }
        await write(configured)
      }),
    writeConfigured: (configured) =>
      attempt('write the configured clients', async () => {
        await write(configured)
        const others = await notAmong(configured.map((metadata) => metadata.client_id))
        return others.map(({ id }) => id)
      }),
  }
}

/** A record of what a server with another configuration than before does at its start. */
function entryOf(
  action: ClientAction,
  id: string,
  { changed, at }: { readonly changed: readonly string[]; readonly at: number },
): Entry {
  const by = { actor: 'configuration', reason: 'start of a server', action, at }
  return { by, subject: { id }, changed }
}

/** Names of what the configuration changes, although only a hash may be stored of the secret. */
function namesChanged(known: Client | undefined, metadata: ClientMetadata): readonly string[] {
  const { client_secret: secret } = metadata
  const kept = known?.metadata.client_secret
  const isKept =
    typeof kept === 'string' && typeof secret === 'string' && compareSecret(kept, secret)
  return changedNames(known?.metadata, isKept ? { ...metadata, client_secret: kept } : metadata)
}
