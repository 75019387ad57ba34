import { randomBytes } from 'node:crypto'
import { Cluster } from 'ioredis'
import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { digest, GRACE, GRANT, REPLAY, usedMeanwhile } from './artifact-record.ts'
import { type ArtifactStore, ownerText } from './artifact-store.ts'
import { shareStatements } from './shared-statements.ts'

/**
 * What expires, in Redis. One key for each artifact, of which the slot of a Cluster follows:
 *
 *     <prefix>a:{<model>:<hash of the id>}   payload as JSON, after `<consumed at> <nonce>` once it
 *                                            was consumed
 *     <prefix>u:{<uid>}, c:{<user code>}     a copy for those that are found by another field
 *     <prefix>g:{<hash of the grant's id>}   sorted set: artifacts of a grant by their expiry
 *
 * Commands touch one key each, so that they work in a Cluster, and those of one call go out
 * together. As any of them may be sent twice (`connection.ts`), each does the same a second time.
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

/** Most keys read by one command: all of them wait for its answer. */
const READ_BATCH = 200

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

interface Commands {
  get(key: string): Promise<string | null>
  set(key: string, value: string, ...expiry: (string | number)[]): Promise<unknown>
  unlink(key: string): Promise<unknown>
  zrange(key: string, from: number, to: number): Promise<string[]>
  zrem(key: string, ...members: string[]): Promise<unknown>
  /**
   * What was consumed stays so.
   * @param mark of what is saved as consumed, or empty
   * @returns what was there before
   */
  keyturnSave(key: string, payload: string, ttl: number, mark: string): Promise<string | null>
  /** @returns 1 where nobody saved the key before, or this caller did */
  keyturnSaveOnce(key: string, payload: string, ttl: number): Promise<number>
  /** @returns 1 where it was consumed with this mark; otherwise what is there */
  keyturnConsume(key: string, mark: string): Promise<1 | string | null>
  /** Deletes a copy if it is that of this id. */
  keyturnDropCopy(key: string, id: string): Promise<unknown>
  /** @param expiresAt or +inf; what has expired by `now` is taken out */
  keyturnAddToGrant(
    key: string,
    member: string,
    expiresAt: number | string,
    now: number,
  ): Promise<unknown>
}

/** Each with one key. */
const SCRIPTS = {
  keyturnSave: `
    local old = redis.call('get', KEYS[1])
    local mark = old and string.match(old, '^[^{]*') or ''
    if mark == '' then mark = ARGV[3] end
    if ARGV[2] == '0' then redis.call('set', KEYS[1], mark .. ARGV[1])
    else redis.call('set', KEYS[1], mark .. ARGV[1], 'EX', ARGV[2]) end
    return old`,
  keyturnSaveOnce: `
    local old = redis.call('get', KEYS[1])
    if old then return old == ARGV[1] and 1 or 0 end
    redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])
    return 1`,
  keyturnConsume: `
    local old = redis.call('get', KEYS[1])
    if not old then return false end
    local mark = string.match(old, '^[^{]*')
    if mark == ARGV[1] then return 1 end
    if mark ~= '' then return old end
    redis.call('set', KEYS[1], ARGV[1] .. old, 'KEEPTTL')
    return 1`,
  keyturnDropCopy: `
    local copy = redis.call('get', KEYS[1])
    if copy and cjson.decode(copy).jti == ARGV[1] then redis.call('unlink', KEYS[1]) end`,
  keyturnAddToGrant: `
    redis.call('zremrangebyscore', KEYS[1], '-inf', '(' .. ARGV[3])
    redis.call('zadd', KEYS[1], ARGV[2], ARGV[1])
    local last = redis.call('zrange', KEYS[1], -1, -1, 'withscores')[2]
    if last == 'inf' then redis.call('persist', KEYS[1])
    else redis.call('expire', KEYS[1], math.max(1, last - ARGV[3])) end`,
}

function defineCommands({ client }: RedisConnection): Commands {
  for (const [name, lua] of Object.entries(SCRIPTS)) {
    client.defineCommand(name, { numberOfKeys: 1, lua })
  }
  // The commands of SCRIPTS were just added; the others are its own, with fewer overloads.
  return client as unknown as Commands
}

/**
 * Reads a key. Keys that requests ask for in one turn of the event loop are read by one command, except in
 * a Cluster, where a command has the keys of one slot.
 */
function createReader({ client, run }: RedisConnection, commands: Commands) {
  const what = 'read what a request refers to'
  if (client instanceof Cluster) return (key: string) => run(what, () => commands.get(key))
  return shareStatements<string, string | null>({
    take: (waiting) => Math.min(waiting, READ_BATCH),
    run: (keys) => run(what, () => client.mget(...keys)),
  })
}

interface AdapterOptions extends RedisArtifactsOptions {
  readonly commands: Commands
  readonly read: (key: string) => Promise<string | null>
}

function artifactAdapter(model: string, { redis, clock, commands, read }: AdapterOptions): Adapter {
  const { prefix, run } = redis
  const foundBy = FOUND_BY[model]
  const isConsumable = CONSUMABLE.includes(model)
  const isGrantable = GRANTABLE.includes(model)
  const memberOf = (id: string) => `{${model}:${digest(id)}}`
  const keyOf = (id: string) => `${prefix}a:${memberOf(id)}`
  const grantKey = (grantId: string) => `${prefix}g:{${digest(grantId)}}`
  const copyKey = (payload: AdapterPayload | undefined): string | undefined => {
    const value = foundBy && payload?.[foundBy.field]
    return typeof value === 'string' ? `${prefix}${foundBy?.key}:{${digest(value)}}` : undefined
  }

  const set = (key: string, text: string, ttl: number) =>
    ttl ? commands.set(key, text, 'EX', ttl) : commands.set(key, text)
  const save = (key: string, text: string, ttl: number, consumed: unknown): Promise<unknown> => {
    if (!isConsumable && !foundBy) return set(key, text, ttl)
    return commands.keyturnSave(key, text, ttl, typeof consumed === 'number' ? `${consumed} ` : '')
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
    const members = await run('look up a grant', () => commands.zrange(index, 0, -1))
    if (members.length === 0) return
    await run('revoke a grant', async () => {
      await Promise.all(members.map((member) => commands.unlink(`${prefix}a:${member}`)))
      await commands.zrem(index, ...members)
    })
  }

  return {
    async upsert(id, payload, expiresIn) {
      if (model === REPLAY) return saveOnce(id, payload, expiresIn)
      const text = JSON.stringify(foundBy ? payload : { ...payload, jti: undefined })
      const ttl = expiresIn ? Math.max(1, expiresIn + GRACE) : 0
      const key = keyOf(id)
      const copy = copyKey(payload)
      const grantId = isGrantable ? payload.grantId : undefined
      const before = await run('save what a request made', async () => {
        const saved = save(key, text, ttl, payload.consumed)
        if (!copy && !grantId) return saved
        const now = clock.now()
        const expiresAt = ttl ? now + ttl : '+inf'
        const alongside = [
          copy && set(copy, text, ttl),
          grantId && commands.keyturnAddToGrant(grantKey(grantId), memberOf(id), expiresAt, now),
        ]
        await Promise.all([saved, ...alongside])
        return saved
      })
      // What it was found by before and is not any more.
      const former = foundBy && typeof before === 'string' ? copyKey(toPayload(before)) : undefined
      if (former && former !== copy) await dropCopy(former, id)
    },
    find: (id) => find(keyOf(id), id),
    findByUid: (uid) => find(copyKey({ uid }) ?? ''),
    findByUserCode: (userCode) => find(copyKey({ userCode }) ?? ''),
    async consume(id) {
      const mark = `${clock.now()} ${createNonce()}`
      const result = await run('consume what a request used up', () =>
        commands.keyturnConsume(keyOf(id), mark),
      )
      if (result === 1) return
      const grantId = result === null ? undefined : toPayload(result).grantId
      if (grantId) {
        const grant = `${prefix}a:{${GRANT}:${digest(grantId)}}`
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
async function forget({ client, prefix, run }: RedisConnection, text: string): Promise<void> {
  const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}[auc]:*`
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

/** Tells the same attempt, sent twice, from two attempts. */
function createNonce(): string {
  return randomBytes(9).toString('base64url')
}
