import { type DataSource, In, Not } from 'typeorm'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { ClientMetadata } from '../clients/client.ts'
import type { ClientStore } from '../clients/client-store.ts'
import type { Clock } from '../clock.ts'
import type { Authentic } from './authentic.ts'
import { attempt } from './failures.ts'
import { clientSchema } from './tables.ts'

export interface ClientStoreOptions {
  readonly dataSource: DataSource
  readonly artifacts: Pick<ArtifactStore, 'forget' | 'forgetClients'>
  readonly authentic: Authentic
  readonly clock: Clock
}

/**
 * Clients that the configuration has, in the table of all clients.
 * @param forget deletes what people agreed to and what was handed out for a client
 */
export function createConfiguredClients(
  { dataSource, artifacts, authentic, clock }: ClientStoreOptions,
  forget: (clientId: string) => Promise<void>,
): Pick<ClientStore, 'replaceConfigured' | 'writeConfigured'> {
  const { issuer } = authentic
  const clients = dataSource.getRepository(clientSchema)
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
  return {
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
  }
}
