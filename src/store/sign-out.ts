import { type DataSource, Like } from 'typeorm'
import { attempt } from './failures.ts'
import { artifactSchema } from './schema.ts'

/**
 * Deletes the sessions, grants and tokens of a person. JWT access tokens that were handed out stay
 * valid until they expire, as no database is asked about them.
 * @param accountId a UUID, which has no character that LIKE would take for a pattern
 */
export async function signOut(dataSource: DataSource, accountId: string): Promise<void> {
  const payload = Like(`%"accountId":${JSON.stringify(accountId)}%`)
  await attempt('end the sessions of an account', () =>
    dataSource.getRepository(artifactSchema).delete({ payload }),
  )
}
