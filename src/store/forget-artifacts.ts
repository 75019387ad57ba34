import type { DataSource } from 'typeorm'
import { attempt } from './failures.ts'
import { artifactSchema } from './schema.ts'

/**
 * Deletes the sessions, grants and tokens of a person or a client. JWT access tokens that were handed
 * out stay valid until they expire, as no database is asked about them.
 * @throws StoreUnavailable
 */
export async function forgetArtifacts(
  dataSource: DataSource,
  owner: 'accountId' | 'clientId',
  id: string,
): Promise<void> {
  const text = `"${owner}":${JSON.stringify(id)}`.replace(/[!%_]/g, '!$&')
  await attempt('delete what was handed out', () =>
    dataSource
      .getRepository(artifactSchema)
      .createQueryBuilder()
      .delete()
      .where("payload LIKE :text ESCAPE '!'", { text: `%${text}%` })
      .execute(),
  )
}
