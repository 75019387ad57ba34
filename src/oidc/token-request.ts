import type { Exchange, NewArtifact } from '../artifacts/artifact-store.ts'
import type { ArtifactAdapters } from './outage.ts'
import type { RefreshAnswer } from './refresh-answers.ts'

/** A request to the token endpoint that is not answered yet. */
export interface TokenRequest {
  /** The refresh token that was presented. */
  readonly token: string | undefined
  readonly since: number
  /** The code or token to consume. */
  used?: Exchange['used']
  /** Tokens that are issued, to be saved once the answer is final. */
  readonly issued: NewArtifact[]
  /** The earlier answer to the same refresh token. */
  earlier?: RefreshAnswer
}

/** Saves what is issued without consuming anything. */
export async function saveAll(
  adapters: ArtifactAdapters,
  issued: readonly NewArtifact[],
): Promise<void> {
  await Promise.all(
    issued.map(({ model, id, payload, expiresIn }) =>
      adapters(model).upsert(id, payload, expiresIn),
    ),
  )
}
