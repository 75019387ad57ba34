import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'
import type { RefreshAnswer } from './refresh-answers.ts'

/** A request to the token endpoint that is not answered yet. */
export interface TokenRequest {
  /** The refresh token that was presented. */
  readonly token: string | undefined
  readonly since: number
  /** The record to consume. */
  used?: UsedRecord
  /** Records to store. */
  readonly given: GivenRecord[]
  /** The earlier answer to the same refresh token. */
  earlier?: RefreshAnswer
}

export interface UsedRecord {
  readonly adapter: ArtifactAdapter
  readonly id: string
}

export interface GivenRecord {
  readonly model: string
  readonly id: string
  readonly save: () => Promise<unknown>
}

export async function saveAll(given: readonly GivenRecord[]): Promise<void> {
  await Promise.all(given.map(({ save }) => save()))
}
