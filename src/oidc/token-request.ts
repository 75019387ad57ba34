import type { Exchange, NewArtifact } from '../artifacts/artifact-store.ts'
import type { ArtifactAdapters } from './outage.ts'
import type { RefreshAnswer } from './refresh-answers.ts'

/** A request to the token endpoint that is not answered yet. */
export interface TokenRequest {
  /** The refresh token that was presented. */
  readonly token: string | undefined
  readonly since: number
  /** The record to consume. */
  used?: Exchange['used']
  /** Records to store. */
  readonly given: NewArtifact[]
  /** The earlier answer to the same refresh token. */
  earlier?: RefreshAnswer
}

/** Saves what is issued without consuming anything. */
export async function saveAll(
  adapters: ArtifactAdapters,
  given: readonly NewArtifact[],
): Promise<void> {
  await Promise.all(
    given.map(({ model, id, payload, expiresIn }) =>
      adapters(model).upsert(id, payload, expiresIn),
    ),
  )
}
