import { randomBytes } from 'node:crypto'
import { Cluster } from 'ioredis'
import {
  type ArtifactRecord,
  type ArtifactRecords,
  type FoundRecord,
  GIVE_BACK,
  GRACE,
  GRANT,
  goneMeanwhile,
  ownerOf,
  REPLAY,
  seenMeanwhile,
  USE,
  UsedMeanwhile,
} from '../artifacts/artifact-record.ts'
import type { ArtifactAdapter, ArtifactStore, Undo } from '../artifacts/artifact-store.ts'
import type { Clock } from '../clock.ts'
import type { ArtifactPlace } from '../database/artifact-place.ts'
import type { Authentic } from '../database/authentic.ts'
import type { RedisConnection } from './connection.ts'
import { redisOf } from './issuer-prefix.ts'
import { type Commands, defineCommands, type InGrant } from './redis-commands.ts'

/**
 * What expires, in Redis. One key for each artifact, of which the slot of a Cluster follows:
 *
 *     <prefix>a:{<model>:<hash of the id>}   `{}` and the sealed payload, after
 *                                            `<consumed at> <nonce>` once it was consumed
 *     <prefix>u:{<hash of the uid>}          a copy for those that are found by another field, as
 *     <prefix>c:{<hash of the user code>}    is c; in both `{<hash of the id>:<key of the copy>}`
 *                                            stands for `{}`
 *     <prefix>g:{<hash of the grant's id>}   sorted set: artifacts of a grant by their expiry
 *
 * In a Cluster commands touch one key each, and those of one call go out together. As any of them
 * may be sent twice (`connection.ts`), each does the same a second time.
 */

/** Found by another field too: its name, and that of the key with the copy. */
const COPIES = { Session: 'u', DeviceCode: 'c' } as const

/** Models by the letter of their copies. */
const MODEL_OF_COPY: Readonly<Record<string, string>> = { u: 'Session', c: 'DeviceCode' }

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
  readonly database: ArtifactPlace
}

/** Does not fail where Redis is down: each call does. */
export function openRedisArtifacts({
  redis,
  clock,
  database,
}: RedisArtifactsOptions): ArtifactPlace {
  const commands = defineCommands(redis)
  const read = createReader(redis, commands)
  return {
    of: (authentic) =>
      artifactsOf(database.of(authentic), {
        redis: redisOf(redis, authentic.issuer),
        authentic,
        clock,
        commands,
        read,
      }),
    // Redis lets things expire by itself.
    sweep: (limit) => database.sweep(limit),
    close: () => database.close(),
  }
}

function artifactsOf(database: ArtifactStore, options: AdapterOptions): ArtifactStore {
  const { redis, authentic, clock } = options
  return {
    adapter: (model) =>
      model === 'Client' ? database.adapter(model) : artifactAdapter(model, options),
    forget: async (owner, id) => {
      await database.forget(owner, id)
      const { artifacts: records } = await authentic.open()
      await forget(redis, (found) => {
        const payload = records.toPayload(found, clock.now())
        return payload !== undefined && ownerOf(payload, owner) === id
      })
    },
    forgetClients: () => database.forgetClients(),
  }
}

/**
 * Reads a key. Keys that requests ask for in one turn of the event loop are read by one command, except in
 * a Cluster, where a command has the keys of one slot.
 */
function createReader({ client, run, atEndOfTurn }: RedisConnection, commands: Commands) {
  const what = 'read what a request refers to'
  const isRead = true
  if (client instanceof Cluster) {
    return (key: string) => run(what, () => commands.get(key), { isRead })
  }
  let asked: { key: string; answer: PromiseWithResolvers<string | null> }[] = []

  async function ask(): Promise<void> {
    const batch = asked
    asked = []
    try {
      const keys = batch.map(({ key }) => key)
      const values = await run(what, () => client.mget(keys), { isRead })
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

interface AdapterOptions {
  /** Of the issuer. */
  readonly redis: RedisConnection
  readonly authentic: Authentic
  readonly clock: Pick<Clock, 'now'>
  readonly commands: Commands
  readonly read: (key: string) => Promise<string | null>
}

function artifactAdapter(
  model: string,
  { redis, authentic, clock, commands, read }: AdapterOptions,
): ArtifactAdapter {
  const { prefix, run } = redis
  const isCluster = redis.client instanceof Cluster
  const isCopied = model in COPIES
  const isConsumable = CONSUMABLE.includes(model)
  const isGrantable = GRANTABLE.includes(model)
  const open = async (): Promise<ArtifactRecords> => (await authentic.open()).artifacts
  const memberOf = (name: string, of = model) => `{${of}:${name}}`
  const keyOfMember = (member: string) => `${prefix}a:${member}`
  const keyOf = (name: string) => keyOfMember(memberOf(name))
  const grantKey = (name: string) => `${prefix}g:{${name}}`
  /** Without the prefix. */
  const copyOf = ({ uid, userCode }: Pick<ArtifactRecord, 'uid' | 'userCode'>) => {
    if (model === 'Session' && uid !== null) return `${COPIES.Session}:{${uid}}`
    if (model === 'DeviceCode' && userCode !== null) return `${COPIES.DeviceCode}:{${userCode}}`
    return undefined
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
            isConsumable || isCopied
              ? commands.keyturnSave(key, text, ttl, mark)
              : set(key, text, ttl),
            grant && commands.keyturnAddToGrant(grant.key, ...grant.entry),
          ]
    const [before] = await Promise.all([
      ...saves,
      copy && commands.keyturnSaveCopy(copy, text, ttl),
    ])
    return before
  }
  const dropCopy = (copy: string, name: string) =>
    run('delete what is over', () => commands.keyturnDropCopy(`${prefix}${copy}`, name))

  /** @returns false where somebody else was at it within its life: the same attempt may be sent twice */
  async function saveOnce({ id, payload }: ArtifactRecord, expiresIn = 0): Promise<boolean> {
    // No two attempts seal it to the same text.
    const text = `{}${payload}`
    const ttl = Math.max(1, expiresIn)
    const saved = await run('save what may be there once', () =>
      commands.keyturnSaveOnce(keyOf(id), text, ttl),
    )
    return saved === 1
  }

  /** @returns what `keyturnConsume` does, and the name of the artifact */
  async function consume(id: string, noteUndo: ((undo: Undo) => void) | undefined) {
    const name = (await open()).nameOf(model, id)
    const key = keyOf(name)
    const mark = `${clock.now()} ${createNonce()}`
    noteUndo?.(async () => {
      await run(GIVE_BACK, () => commands.keyturnUnconsume(key, mark))
    })
    const result = await run('consume what a request used up', () =>
      commands.keyturnConsume(key, mark),
    )
    return { result, name }
  }

  /** @param name the id under which it is stored, unless that stands in a copy */
  async function find(key: string, name?: string): Promise<FoundRecord | undefined> {
    const stored = await read(key)
    return stored === null ? undefined : parse(stored, { model, name })
  }

  /**
   * The members first, then them alone: what is added meanwhile stays, and stays known. It does not
   * outlive its grant where that goes too, as oidc-provider asks for the grant with every use of a
   * token (actions/introspection.js, shared/access_token.js, helpers/grant_source.js); where the
   * grant stays - `revokeGrantPolicy` - what it gives from now on is meant to be good.
   */
  async function revoke(grant: string): Promise<void> {
    const index = grantKey(grant)
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
      const now = clock.now()
      const record = (await open()).toRecord(model, id, payload, { expiresIn, now })
      if (model === REPLAY) {
        if (!(await saveOnce(record, expiresIn))) throw seenMeanwhile()
        return
      }
      const ttl = expiresIn ? Math.max(1, expiresIn + GRACE) : 0
      const member = memberOf(record.id)
      const key = keyOfMember(member)
      const copied = copyOf(record)
      const text = `${head(record.id, copied)}${record.payload}`
      const copy = copied && `${prefix}${copied}`
      const grantId = isGrantable ? record.grantId : null
      const mark = typeof payload.consumed === 'number' ? `${payload.consumed} ` : ''
      const entry = [member, ttl ? now + ttl : '+inf', now] as const
      const grant = grantId ? { key: grantKey(grantId), entry } : undefined
      const before = await run('save what a request made', () =>
        save({ key, text, ttl, mark, copy, grant }),
      )
      // What it was found by before and is not any more.
      const former = isCopied && typeof before === 'string' ? copyIn(before) : undefined
      if (former && former !== copied) await dropCopy(former, record.id)
    },
    async find(id) {
      const records = await open()
      const name = records.nameOf(model, id)
      return records.toPayload(await find(keyOf(name), name), clock.now(), { id })
    },
    async findByUid(uid) {
      const records = await open()
      const key = `${prefix}${COPIES.Session}:{${records.uidOf(uid)}}`
      return records.toPayload(await find(key), clock.now(), { uid })
    },
    async findByUserCode(userCode) {
      const records = await open()
      const key = `${prefix}${COPIES.DeviceCode}:{${records.userCodeOf(userCode)}}`
      return records.toPayload(await find(key), clock.now(), { userCode })
    },
    async consume(id, noteUndo) {
      const { result, name } = await consume(id, noteUndo)
      if (result === 1) return
      if (result === null) throw goneMeanwhile()
      const records = await open()
      const found = parse(result, { model, name })
      const grantId = records.toPayload(found, clock.now())?.grantId
      if (grantId) {
        const grant = records.nameOf(GRANT, grantId)
        await run('revoke a grant', () => commands.unlink(keyOfMember(memberOf(grant, GRANT))))
        await revoke(grant)
      }
      throw new UsedMeanwhile()
    },
    saveOnce: async (id, payload, expiresIn) => {
      const record = (await open()).toRecord(model, id, payload, { expiresIn, now: clock.now() })
      return saveOnce(record, expiresIn)
    },
    consumeOrLeave: async (id, noteUndo) => (await consume(id, noteUndo)).result !== null,
    async destroy(id) {
      const records = await open()
      const name = records.nameOf(model, id)
      const key = keyOf(name)
      // Whose copy there is only the artifact itself tells: two trips, for sessions and device codes.
      const copy = isCopied ? copyIn((await read(key)) ?? '') : undefined
      await run('delete what is over', () =>
        Promise.all([
          copy && commands.keyturnDropCopy(`${prefix}${copy}`, name),
          commands.unlink(key),
        ]),
      )
    },
    async revokeByGrantId(grantId) {
      const records = await open()
      await revoke(records.nameOf(GRANT, grantId))
    },
  }
}

/** What stands before a sealed payload, for the scripts: which copy goes with it, and whose a copy is. */
function head(name: string, copied: string | undefined): string {
  return copied === undefined ? '{}' : `{${name}:${copied.replace(/[{}]/g, '')}}`
}

const STORED = /^([^{]*)\{(?:([\w-]+):([uc]):([\w-]+))?\}/

/** The key of the copy that goes with what is stored, without the prefix. */
function copyIn(stored: string): string | undefined {
  const [, , , letter, name] = STORED.exec(stored) ?? []
  return letter === undefined ? undefined : `${letter}:{${name}}`
}

/**
 * @param under the model it was found as, and the id under which it was, unless that stands in the copy.
 * Whether that is so its seal tells.
 */
function parse(
  stored: string,
  { model, name }: { readonly model: string; readonly name: string | undefined },
): FoundRecord {
  const [before = '', mark = '', id = ''] = STORED.exec(stored) ?? []
  const consumedAt = mark === '' ? null : Number.parseInt(mark, 10) * USE
  return { model, id: name ?? id, payload: stored.slice(before.length), consumedAt }
}

/** Whose an artifact, or a copy, is that stands under a key. */
function parseAt(key: string, prefix: string, stored: string): FoundRecord {
  const [, letter = '', inner = ''] = /^([auc]):\{(.*)\}$/.exec(key.slice(prefix.length)) ?? []
  const ofCopy = MODEL_OF_COPY[letter]
  if (ofCopy !== undefined) return parse(stored, { model: ofCopy, name: undefined })
  const [model = '', name = ''] = inner.split(':')
  return parse(stored, { model, name })
}

/** Deletes every artifact, and every copy, that is somebody's. */
async function forget(
  redis: RedisConnection,
  isTheirs: (found: FoundRecord) => boolean,
): Promise<void> {
  const prefix = redis.prefix.replace(/[\\*?[\]]/g, '\\$&')
  // As in `forget.ts`: where the sessions are gone, the second walk finds what they gave out meanwhile.
  await forgetAmong(`${prefix}a:{Session:*`, redis, isTheirs)
  await forgetAmong(`${prefix}[auc]:*`, redis, isTheirs)
}

async function forgetAmong(
  pattern: string,
  { client, prefix, run }: RedisConnection,
  isTheirs: (found: FoundRecord) => boolean,
): Promise<void> {
  const what = 'look through the sessions and tokens'
  const isRead = true
  await run(what, async () => client.ping(), { isRead })
  const nodes = client instanceof Cluster ? client.nodes('master') : [client]
  for (const node of nodes) {
    let cursor = '0'
    do {
      const [next, keys] = await run(
        what,
        () => node.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_BATCH),
        { isRead },
      )
      await run('delete sessions and tokens', () =>
        Promise.all(
          keys.map(async (key) => {
            const stored = await client.get(key)
            if (stored !== null && isTheirs(parseAt(key, prefix, stored))) await client.unlink(key)
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
