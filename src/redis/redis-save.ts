import { Cluster } from 'ioredis'
import { type ArtifactRecord, GRACE } from '../artifacts/artifact-record.ts'
import { isCopied } from './artifact-keys.ts'
import type { RedisConnection } from './connection.ts'
import type { Commands, InGrant } from './redis-commands.ts'
import { isConsumed } from './stored-text.ts'

/**
 * Models that can be consumed and that are revoked with their grant, as in oidc-provider's own
 * adapter.
 */
const CONSUMABLE: readonly string[] = [
  'AuthorizationCode',
  'RefreshToken',
  'DeviceCode',
  'BackchannelAuthenticationRequest',
  'PreAuthorizedCode',
  'PushedAuthorizationRequest',
]
/** Models whose artifacts are listed with their grant. */
export const GRANTABLE: readonly string[] = ['AccessToken', ...CONSUMABLE]

/** Seconds for which a record is kept; 0 if it does not expire. */
export function lifetimeOf({ expiresAt }: ArtifactRecord, now: number): number {
  return expiresAt === null ? 0 : Math.max(1, expiresAt - now + GRACE)
}

/** Like `lifetimeOf`, for a record that may exist only once: exact, so that another may follow. */
export function lifetimeOnce({ expiresAt }: ArtifactRecord, now: number): number {
  return Math.max(1, (expiresAt ?? now) - now)
}

/** Content that one call of `upsert` writes. */
export interface Saved {
  readonly key: string
  readonly text: string
  /** Lifetime in seconds; 0 if the artifact does not expire. */
  readonly ttl: number
  /** Consumption mark; empty if the artifact is not consumed. */
  readonly mark: string
  /** Key of the copy under another field. */
  readonly copy: string | undefined
  /** The sorted set of the artifact's grant, and the entry to add. */
  readonly grant: { readonly key: string; readonly entry: InGrant } | undefined
}

/**
 * Sends the commands that save an artifact of a model, its copy and its entry in a grant.
 * @returns the text stored before, for copied and consumable models
 */
export function createSave(
  model: string,
  { client }: Pick<RedisConnection, 'client'>,
  commands: Commands,
): (saved: Saved) => Promise<unknown> {
  const isCluster = client instanceof Cluster
  const isReadBefore = isCopied(model) || CONSUMABLE.includes(model)

  const set = (key: string, text: string, ttl: number) =>
    ttl ? commands.set(key, text, 'EX', ttl) : commands.set(key, text)
  return async ({ key, text, ttl, mark, copy, grant }) => {
    if (copy && !grant && !isCluster) {
      return commands.keyturnSaveWithCopy(key, copy, text, ttl, mark)
    }
    const saves =
      grant && !isCluster
        ? [commands.keyturnSaveInGrant(key, grant.key, text, ttl, mark, ...grant.entry)]
        : [
            isReadBefore ? commands.keyturnSave(key, text, ttl, mark) : set(key, text, ttl),
            grant && commands.keyturnAddToGrant(grant.key, ...grant.entry),
          ]
    const [before] = await Promise.all(saves)
    if (copy && mark === '' && !isConsumed(before)) await commands.keyturnSaveCopy(copy, text, ttl)
    return before
  }
}
