import {
  type ArtifactRecord,
  type FoundRecord,
  MARKS_PER_SECOND,
  UNDO_WORDS,
} from '../artifacts/artifact-record.ts'
import { artifactKeys, isCopied } from './artifact-keys.ts'
import type { RedisConnection } from './connection.ts'
import type { Commands } from './redis-commands.ts'
import { createSave, GRANTABLE, lifetimeOf, lifetimeOnce } from './redis-save.ts'
import { copyIn, head, parse } from './stored-text.ts'

export interface RecordsOptions {
  /** Connection with the issuer's prefix. */
  readonly redis: RedisConnection
  readonly commands: Commands
  readonly read: (key: string) => Promise<string | null>
}

/**
 * Sealed artifacts of one model in Redis, by their stored names. What is sealed in them, and how
 * names come from ids, is left to `redis-artifacts.ts`.
 */
export function createRecords(model: string, { redis, commands, read }: RecordsOptions) {
  const { run } = redis
  const hasCopies = isCopied(model)
  const isGrantable = GRANTABLE.includes(model)
  const { memberOf, keyOfMember, keyOf, grantKey, copyKey, copyOf } = artifactKeys(
    model,
    redis.prefix,
  )
  const saveAll = createSave(model, redis, commands)

  async function save(record: ArtifactRecord, now: number): Promise<void> {
    const { consumedAt } = record
    const ttl = lifetimeOf(record, now)
    const mark = consumedAt === null ? '' : `${Math.floor(consumedAt / MARKS_PER_SECOND)} `
    const member = memberOf(record.id)
    const key = keyOfMember(member)
    const copied = copyOf(record)
    const text = `${head(record.id, copied)}${record.payload}`
    const copy = copied && copyKey(copied)
    const grantId = isGrantable ? record.grantId : null
    const entry = [member, ttl ? now + ttl : '+inf', now] as const
    const grant = grantId ? { key: grantKey(grantId), entry } : undefined
    const before = await run('save a session, code, token or grant', () =>
      saveAll({ key, text, ttl, mark, copy, grant }),
    )
    // Delete the copy under a field value that the artifact has no longer.
    const former = hasCopies && typeof before === 'string' ? copyIn(before) : undefined
    if (!former || former === copied) return
    await run('delete a session, code or token', () =>
      commands.keyturnDropCopy(copyKey(former), record.id),
    )
  }

  /** Ends a record in some way, and deletes its copy, which only the record itself names. */
  async function end(name: string, what: string, act: (key: string) => Promise<unknown>) {
    const key = keyOf(name)
    const copy = hasCopies ? copyIn((await read(key)) ?? '') : undefined
    await run(what, () =>
      // In this order, because a save before the end may write the copy, and none after it.
      Promise.all([act(key), copy && commands.keyturnDropCopy(copyKey(copy), name)]),
    )
  }

  /** @param name the stored id; undefined for a copy, which contains the id */
  async function findAt(key: string, name?: string): Promise<FoundRecord | undefined> {
    const stored = await read(key)
    return stored === null ? undefined : parse(stored, { model, name })
  }

  return {
    save,
    /**
     * @returns false if another attempt has saved the id within its lifetime; a repeated command
     * counts as the same attempt
     */
    saveOnce: async (record: ArtifactRecord, now: number): Promise<boolean> => {
      const { id, payload } = record
      const ttl = lifetimeOnce(record, now)
      // Each attempt seals to a different text, so the script can tell a repeated command.
      const text = `{}${payload}`
      const saved = await run('save a record that may exist only once', () =>
        commands.keyturnSaveOnce(keyOf(id), text, ttl),
      )
      return saved === 1
    },
    find: (name: string) => findAt(keyOf(name), name),
    findCopy: (copy: string) => findAt(copyKey(copy)),
    /** @returns the result of `keyturnConsume` */
    consume: (name: string, mark: string) =>
      run('consume a code or token', () => commands.keyturnConsume(keyOf(name), mark)),
    consumeAgain: (name: string, mark: string) =>
      end(name, 'consume a code or token', (key) => commands.keyturnConsumeAgain(key, mark)),
    unconsume: async (name: string, mark: string): Promise<void> => {
      await run(UNDO_WORDS, () => commands.keyturnUnconsume(keyOf(name), mark))
    },
    destroy: (name: string) =>
      end(name, 'delete a session, code or token', (key) => commands.unlink(key)),
  }
}
