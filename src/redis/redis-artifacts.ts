import { randomBytes } from 'node:crypto'
import { Cluster } from 'ioredis'
import {
  type ArtifactRecord,
  type ArtifactRecords,
  type FoundRecord,
  GRACE,
  GRANT,
  goneMeanwhile,
  MARKS_PER_SECOND,
  ownerOf,
  REPLAY,
  seenMeanwhile,
  UNDO_WORDS,
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
 * Stores artifacts in Redis, which deletes them when they expire. Each artifact has a key, whose
 * part in braces decides the slot in a Cluster:
 *
 *     <prefix>a:{<model>:<hash of the id>}   `{}` and the sealed payload, after
 *                                            `<consumed at> <nonce>` once it was consumed
 *     <prefix>u:{<hash of the uid>}          a copy for those that are found by another field, as
 *     <prefix>c:{<hash of the user code>}    is c; in both `{<hash of the id>:<key of the copy>}`
 *                                            stands for `{}`
 *     <prefix>g:{<hash of the grant's id>}   sorted set: artifacts of a grant by their expiry
 *
 * In a Cluster each command touches one key, and the commands of one call are sent together. All
 * are idempotent, because any of them may be sent twice (`connection.ts`).
 */

/** Models that are found by another field too, with the letter of the keys of their copies. */
const COPIES = { Session: 'u', DeviceCode: 'c' } as const

/** Models, by the letter of their copies. */
const MODEL_OF_COPY: Readonly<Record<string, string>> = { u: 'Session', c: 'DeviceCode' }

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
const GRANTABLE: readonly string[] = ['AccessToken', ...CONSUMABLE]

/** Keys per SCAN while all artifacts of a person or client are searched. */
const SCAN_BATCH = 500

export interface RedisArtifactsOptions {
  readonly redis: RedisConnection
  readonly clock: Pick<Clock, 'now'>
  /**
   * The store of the database, which has the clients, and artifacts from before Redis was
   * configured.
   */
  readonly database: ArtifactPlace
}

/** Opens the store without connecting; calls fail while Redis is down. */
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
    // Redis itself deletes expired keys.
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
 * Reads a key. Keys of one turn of the event loop are read by one command, except in a Cluster,
 * where a command may only have keys of one slot.
 */
function createReader({ client, run, atEndOfTurn }: RedisConnection, commands: Commands) {
  const what = 'read a session, code, token or grant'
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

/** Content that one call of `upsert` writes. */
interface Saved {
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

interface AdapterOptions {
  /** Connection with the issuer's prefix. */
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
  /** The key of the copy without the prefix. */
  const copyOf = ({ uid, userCode }: Pick<ArtifactRecord, 'uid' | 'userCode'>) => {
    if (model === 'Session' && uid !== null) return `${COPIES.Session}:{${uid}}`
    if (model === 'DeviceCode' && userCode !== null) return `${COPIES.DeviceCode}:{${userCode}}`
    return undefined
  }

  const set = (key: string, text: string, ttl: number) =>
    ttl ? commands.set(key, text, 'EX', ttl) : commands.set(key, text)
  /** @returns the text stored before, for copied and consumable models */
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
    run('delete a session, code or token', () => commands.keyturnDropCopy(`${prefix}${copy}`, name))

  /**
   * @returns false if another attempt has saved the id within its lifetime; a repeated command
   * counts as the same attempt
   */
  async function saveOnce({ id, payload }: ArtifactRecord, expiresIn = 0): Promise<boolean> {
    // Each attempt seals to a different text, so the script can tell a repeated command.
    const text = `{}${payload}`
    const ttl = Math.max(1, expiresIn)
    const saved = await run('save a record that may exist only once', () =>
      commands.keyturnSaveOnce(keyOf(id), text, ttl),
    )
    return saved === 1
  }

  /** @returns the result of `keyturnConsume`, and the stored name of the artifact */
  async function consume(id: string, noteUndo: ((undo: Undo) => void) | undefined) {
    const name = (await open()).nameOf(model, id)
    const key = keyOf(name)
    const mark = `${clock.now()} ${createNonce()}`
    noteUndo?.(async () => {
      await run(UNDO_WORDS, () => commands.keyturnUnconsume(key, mark))
    })
    const result = await run('consume a code or token', () => commands.keyturnConsume(key, mark))
    return { result, name }
  }

  /** @param name the stored id; undefined for a copy, which contains the id */
  async function find(key: string, name?: string): Promise<FoundRecord | undefined> {
    const stored = await read(key)
    return stored === null ? undefined : parse(stored, { model, name })
  }

  /**
   * Deletes the listed members and removes only them from the set, so that artifacts added
   * meanwhile stay listed. Such artifacts do not outlive a deleted grant, because oidc-provider
   * looks for the grant with every use of a token (actions/introspection.js,
   * shared/access_token.js, helpers/grant_source.js); if the grant stays (`revokeGrantPolicy`),
   * artifacts issued from now on are meant to be valid.
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
      const before = await run('save a session, code, token or grant', () =>
        save({ key, text, ttl, mark, copy, grant }),
      )
      // Delete the copy under a field value that the artifact has no longer.
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
      // Only the artifact names its copy, so sessions and device codes need two round trips.
      const copy = isCopied ? copyIn((await read(key)) ?? '') : undefined
      await run('delete a session, code or token', () =>
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

/** Text before a sealed payload, for the scripts: the artifact's id and the key of its copy. */
function head(name: string, copied: string | undefined): string {
  return copied === undefined ? '{}' : `{${name}:${copied.replace(/[{}]/g, '')}}`
}

const STORED = /^([^{]*)\{(?:([\w-]+):([uc]):([\w-]+))?\}/

/** The key of the copy that a stored text names, without the prefix. */
function copyIn(stored: string): string | undefined {
  const [, , , letter, name] = STORED.exec(stored) ?? []
  return letter === undefined ? undefined : `${letter}:{${name}}`
}

/**
 * Parses a stored text. The seal later proves that model and id are right.
 * @param found the model, and the stored id; undefined for a copy, which contains the id
 */
function parse(
  stored: string,
  { model, name }: { readonly model: string; readonly name: string | undefined },
): FoundRecord {
  const [before = '', mark = '', id = ''] = STORED.exec(stored) ?? []
  const consumedAt = mark === '' ? null : Number.parseInt(mark, 10) * MARKS_PER_SECOND
  return { model, id: name ?? id, payload: stored.slice(before.length), consumedAt }
}

/** Parses an artifact or a copy, with model and id from its key. */
function parseAt(key: string, prefix: string, stored: string): FoundRecord {
  const [, letter = '', inner = ''] = /^([auc]):\{(.*)\}$/.exec(key.slice(prefix.length)) ?? []
  const ofCopy = MODEL_OF_COPY[letter]
  if (ofCopy !== undefined) return parse(stored, { model: ofCopy, name: undefined })
  const [model = '', name = ''] = inner.split(':')
  return parse(stored, { model, name })
}

/** Deletes every artifact and copy for which `isTheirs` is true. */
async function forget(
  redis: RedisConnection,
  isTheirs: (found: FoundRecord) => boolean,
): Promise<void> {
  const prefix = redis.prefix.replace(/[\\*?[\]]/g, '\\$&')
  // Two passes as in `forget.ts`: without sessions nothing new is issued, and the second pass finds
  // what was issued during the first.
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

/** Makes a mark unique, so that a repeated command can be told from another attempt. */
function createNonce(): string {
  nonces += 1
  return `${PROCESS}${nonces.toString(36)}`
}
