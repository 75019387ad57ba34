import { randomBytes } from 'node:crypto'
import { Cluster } from 'ioredis'
import type { AdapterPayload } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { digest, GIVE_BACK, GRACE, GRANT, REPLAY, usedMeanwhile } from './artifact-record.ts'
import { type ArtifactAdapter, type ArtifactStore, ownerText } from './artifact-store.ts'
import { type Commands, defineCommands, type InGrant } from './redis-commands.ts'

/**
 * What expires, in Redis. One key for each artifact, of which the slot of a Cluster follows:
 *
 *     <prefix>a:{<model>:<hash of the id>}   payload as JSON, after `<consumed at> <nonce>` once it
 *                                            was consumed
 *     <prefix>u:{<uid>}, c:{<user code>}     a copy for those that are found by another field
 *     <prefix>g:{<hash of the grant's id>}   sorted set: artifacts of a grant by their expiry
 *
 * In a Cluster commands touch one key each, and those of one call go out together. As any of them
 * may be sent twice (`connection.ts`), each does the same a second time.
 */

/** Found by another field too: its name, and that of the key with the copy. */
const FOUND_BY: Readonly<Record<string, { field: 'uid' | 'userCode'; key: string }>> = {
  Session: { field: 'uid', key: 'u' },
  DeviceCode: { field: 'userCode', key: 'c' },
}

/** Models that a grant takes with it, as oidc-provider's own adapter has them, and that are consumed. */
const CONSUMABLE: readonly string[] = [
  'AuthorizationCode',
  'RefreshToken',
  'DeviceCode',
  'BackchannelAuthenticationRequest',
  'PreAuthorizedCode',
  'PushedAuthorizationRequest',
]
const GRANTABLE: readonly string[] = ['AccessToken', ...CONSUMABLE]

/** Keys looked at in one go while everything of a person or client is sought. */
const SCAN_BATCH = 500

export interface RedisArtifactsOptions {
  readonly redis: RedisConnection
  readonly clock: Pick<Clock, 'now'>
  /** The store of the database: it has the clients, and what expires from the time before Redis. */
  readonly database: ArtifactStore
}

/** Does not fail where Redis is down: each call does. */
export function openRedisArtifacts(options: RedisArtifactsOptions): ArtifactStore {
  const { redis, database } = options
  const commands = defineCommands(redis)
  const read = createReader(redis, commands)
  return {
    adapter: (model) =>
      model === 'Client'
        ? database.adapter(model)
        : artifactAdapter(model, { ...options, commands, read }),
    // Redis lets things expire by itself.
    sweep: (limit) => database.sweep(limit),
    forget: async (owner, id) => {
      await database.forget(owner, id)
      await forget(redis, ownerText(owner, id))
    },
    forgetClients: () => database.forgetClients(),
    close: () => database.close(),
  }
}

/**
 * Reads a key. Keys that requests ask for in one turn of the event loop are read by one command, except in
 * a Cluster, where a command has the keys of one slot.
 */
function createReader({ client, run, atEndOfTurn }: RedisConnection, commands: Commands) {
  const what = 'read what a request refers to'
  if (client instanceof Cluster) return (key: string) => run(what, () => commands.get(key))
  let asked: { key: string; answer: PromiseWithResolvers<string | null> }[] = []

  async function ask(): Promise<void> {
    const batch = asked
    asked = []
    try {
      const values = await run(what, () => client.mget(batch.map(({ key }) => key)))
      for (const [index, { answer }] of batch.entries()) answer.resolve(values[index] ?? null)
    } catch (error) {
      for (const { answer } of batch) answer.reject(error)
    }
  }

  return (key: string) => {
    const answer = Promise.withResolvers<string | null>()
    if (asked.push({ key, answer }) === 1) atEndOfTurn(ask)
    return answer.promise
  }
}

/** What one call of `upsert` writes. */
interface Saved {
  readonly key: string
  readonly text: string
  /** Seconds; 0 where it does not expire. */
  readonly ttl: number
  /** Of what is saved as consumed; empty otherwise. */
  readonly mark: string
  /** Key of the copy under another field. */
  readonly copy: string | undefined
  /** The sorted set of its grant, and what it gets. */
  readonly grant: { readonly key: string; readonly entry: InGrant } | undefined
}

interface AdapterOptions extends RedisArtifactsOptions {
  readonly commands: Commands
  readonly read: (key: string) => Promise<string | null>
}

function artifactAdapter(
  model: string,
  { redis, clock, commands, read }: AdapterOptions,
): ArtifactAdapter {
  const { prefix, run } = redis
  const isCluster = redis.client instanceof Cluster
  const foundBy = FOUND_BY[model]
  const isConsumable = CONSUMABLE.includes(model)
  const isGrantable = GRANTABLE.includes(model)
  const memberOf = (id: string) => `{${model}:${digest(id)}}`
  const keyOfMember = (member: string) => `${prefix}a:${member}`
  const keyOf = (id: string) => keyOfMember(memberOf(id))
  const grantKey = (grantId: string) => `${prefix}g:{${digest(grantId)}}`
  const copyKey = (payload: AdapterPayload | undefined): string | undefined => {
    const value = foundBy && payload?.[foundBy.field]
    return typeof value === 'string' ? `${prefix}${foundBy?.key}:{${digest(value)}}` : undefined
  }

  const set = (key: string, text: string, ttl: number) =>
    ttl ? commands.set(key, text, 'EX', ttl) : commands.set(key, text)
  /** @returns what was there before, where it matters */
  async function save(saved: Saved): Promise<unknown> {
    const { key, text, ttl, mark, copy, grant } = saved
    const saves =
      grant && !isCluster
        ? [commands.keyturnSaveInGrant(key, grant.key, text, ttl, mark, ...grant.entry)]
        : [
            isConsumable || foundBy
              ? commands.keyturnSave(key, text, ttl, mark)
              : set(key, text, ttl),
            grant && commands.keyturnAddToGrant(grant.key, ...grant.entry),
          ]
    const [before] = await Promise.all([...saves, copy && set(copy, text, ttl)])
    return before
  }
  const dropCopy = (key: string, id: string) =>
    run('delete what is over', () => commands.keyturnDropCopy(key, id))

  /** The second time within its life somebody else is at it, unless the same attempt was sent twice. */
  async function saveOnce(id: string, payload: AdapterPayload, expiresIn = 0): Promise<void> {
    const text = JSON.stringify({ ...payload, jti: undefined, attempt: createNonce() })
    const ttl = Math.max(1, expiresIn)
    const isFirst = await run('remember a proof', () =>
      commands.keyturnSaveOnce(keyOf(id), text, ttl),
    )
    if (!isFirst) throw usedMeanwhile(model)
  }

  async function find(key: string, id?: string): Promise<AdapterPayload | undefined> {
    const stored = await read(key)
    return stored === null ? undefined : toPayload(stored, id)
  }

  /**
   * The members first, then them alone: what is added meanwhile stays, and stays known. It does not
   * outlive its grant where that goes too, as oidc-provider asks for the grant with every use of a
   * token (actions/introspection.js, shared/access_token.js, helpers/grant_source.js); where the
   * grant stays - `revokeGrantPolicy` - what it gives from now on is meant to be good.
   */
  async function revoke(grantId: string): Promise<void> {
    const index = grantKey(grantId)
    const members = await run('look up a grant', () => commands.zrange(index, 0, -1), {
      isRead: true,
    })
    if (members.length === 0) return
    await run('revoke a grant', async () => {
      await Promise.all(members.map((member) => commands.unlink(keyOfMember(member))))
      await commands.zrem(index, ...members)
    })
  }

  return {
    async upsert(id, payload, expiresIn) {
      if (model === REPLAY) return saveOnce(id, payload, expiresIn)
      const text = JSON.stringify(foundBy ? payload : { ...payload, jti: undefined })
      const ttl = expiresIn ? Math.max(1, expiresIn + GRACE) : 0
      const member = memberOf(id)
      const key = keyOfMember(member)
      const copy = copyKey(payload)
      const grantId = isGrantable ? payload.grantId : undefined
      const mark = typeof payload.consumed === 'number' ? `${payload.consumed} ` : ''
      const now = clock.now()
      const entry = [member, ttl ? now + ttl : '+inf', now] as const
      const grant = grantId ? { key: grantKey(grantId), entry } : undefined
      const before = await run('save what a request made', () =>
        save({ key, text, ttl, mark, copy, grant }),
      )
      // What it was found by before and is not any more.
      const former = foundBy && typeof before === 'string' ? copyKey(toPayload(before)) : undefined
      if (former && former !== copy) await dropCopy(former, id)
    },
    find: (id) => find(keyOf(id), id),
    findByUid: (uid) => find(copyKey({ uid }) ?? ''),
    findByUserCode: (userCode) => find(copyKey({ userCode }) ?? ''),
    async consume(id, noteUndo) {
      const key = keyOf(id)
      const mark = `${clock.now()} ${createNonce()}`
      noteUndo?.(async () => {
        await run(GIVE_BACK, () => commands.keyturnUnconsume(key, mark))
      })
      const result = await run('consume what a request used up', () =>
        commands.keyturnConsume(key, mark),
      )
      if (result === 1) return
      const grantId = result === null ? undefined : toPayload(result).grantId
      if (grantId) {
        const grant = keyOfMember(`{${GRANT}:${digest(grantId)}}`)
        await run('revoke a grant', () => commands.unlink(grant))
        await revoke(grantId)
      }
      throw usedMeanwhile(model)
    },
    async destroy(id) {
      const key = keyOf(id)
      // Whose copy there is only the artifact itself tells: two trips, for sessions and device codes.
      const copy = foundBy && copyKey(await find(key))
      await run('delete what is over', () =>
        Promise.all([copy && commands.keyturnDropCopy(copy, id), commands.unlink(key)]),
      )
    },
    revokeByGrantId: revoke,
  }
}

/** @param id put back where it was left out */
function toPayload(stored: string, id?: string): AdapterPayload {
  const start = stored.indexOf('{')
  const payload: AdapterPayload = JSON.parse(start === 0 ? stored : stored.slice(start))
  if (id !== undefined) payload.jti = id
  if (start > 0) payload.consumed = Number.parseInt(stored, 10)
  return payload
}

/** Deletes every artifact, and every copy, whose payload has this text. */
async function forget(redis: RedisConnection, text: string): Promise<void> {
  const prefix = redis.prefix.replace(/[\\*?[\]]/g, '\\$&')
  // As in `forget.ts`: where the sessions are gone, the second walk finds what they gave out meanwhile.
  await forgetAmong(`${prefix}a:{Session:*`, redis, text)
  await forgetAmong(`${prefix}[auc]:*`, redis, text)
}

async function forgetAmong(
  pattern: string,
  { client, run }: RedisConnection,
  text: string,
): Promise<void> {
  const what = 'look through the sessions and tokens'
  await run(what, async () => client.ping())
  const nodes = client instanceof Cluster ? client.nodes('master') : [client]
  for (const node of nodes) {
    let cursor = '0'
    do {
      const [next, keys] = await run(what, () =>
        node.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_BATCH),
      )
      await run(what, () =>
        Promise.all(
          keys.map(async (key) => {
            if ((await client.get(key))?.includes(text)) await client.unlink(key)
          }),
        ),
      )
      cursor = next
    } while (cursor !== '0')
  }
}

const PROCESS = randomBytes(9).toString('base64url')
let nonces = 0

/** Tells the same attempt, sent twice, from two attempts of any process. */
function createNonce(): string {
  nonces += 1
  return `${PROCESS}${nonces.toString(36)}`
}
