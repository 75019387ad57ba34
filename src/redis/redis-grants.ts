import { GRANT } from '../artifacts/artifact-record.ts'
import { artifactKeys } from './artifact-keys.ts'
import type { RedisConnection } from './connection.ts'
import { says } from './failures.ts'
import type { Commands } from './redis-commands.ts'

export interface GrantsOptions {
  /** Connection with the issuer's prefix. */
  readonly redis: RedisConnection
  readonly commands: Commands
}

/** Deletes what was issued under a grant; each grant has a sorted set of its artifacts. */
export function createGrants({ redis, commands }: GrantsOptions) {
  const { run } = redis
  const { grantKey, keyOf, keyOfMember } = artifactKeys(GRANT, redis.prefix)

  /**
   * Deletes the listed members and removes only them from the set, so that artifacts added
   * meanwhile stay listed. Such artifacts do not outlive a deleted grant, because oidc-provider
   * looks for the grant with every use of a token (actions/introspection.js,
   * shared/access_token.js, helpers/grant_source.js); if the grant stays (`revokeGrantPolicy`),
   * artifacts issued from now on are meant to be valid.
   */
  async function revoke(grant: string): Promise<void> {
    const index = grantKey(grant)
    const list = () => commands.zrange(index, 0, -1).catch(noneOfAnotherType)
    const members = await run('look up a grant', list, { isRead: true })
    if (members.length === 0) return
    await run('revoke a grant', async () => {
      await Promise.all(members.map((member) => commands.unlink(keyOfMember(member))))
      await commands.zrem(index, ...members)
    })
  }

  return {
    revoke,
    /** Deletes a grant itself, and then what `revoke` deletes. */
    revokeWithGrant: async (grant: string): Promise<void> => {
      await run('revoke a grant', () => commands.unlink(keyOf(grant)))
      await revoke(grant)
    },
  }
}

/** A key that is no set was made by another program and lists nothing. */
function noneOfAnotherType(error: Error): string[] {
  if (says(error, 'WRONGTYPE')) return []
  throw error
}
