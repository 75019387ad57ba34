import type { Clock } from '../clock.ts'
import type { ArtifactStore } from './artifact-store.ts'
import { openSqliteArtifacts } from './sqlite-artifacts.ts'

export interface ArtifactSettings {
  readonly database: { readonly url: string }
}

/**
 * Opens the store of what expires that the configuration names.
 * @throws StoreUnavailable
 */
export async function openArtifacts(
  { database }: ArtifactSettings,
  clock: Clock,
): Promise<ArtifactStore> {
  return openSqliteArtifacts(database.url, clock)
}
