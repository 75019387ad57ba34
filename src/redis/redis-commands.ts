import { LIFETIME_MAX } from '../artifacts/artifact-record.ts'
import type { RedisConnection } from './connection.ts'

/** Redis commands and scripts for artifacts. */
export interface Commands {
  /** Reads a text; null also for a key of another type, which only another program makes. */
  mget(key: string): Promise<[string | null]>
  set(key: string, value: string, ...expiry: (string | number)[]): Promise<unknown>
  unlink(key: string): Promise<unknown>
  zrange(key: string, from: number, to: number): Promise<string[]>
  zrem(key: string, ...members: string[]): Promise<unknown>
  /**
   * Saves a text. A consumed artifact stays consumed.
   * @param mark consumption mark, or empty
   * @returns the text stored before
   */
  keyturnSave(key: string, text: string, ttl: number, mark: string): Promise<string | null>
  /** @returns 1 if the key was free, or has the same text from a repeated command */
  keyturnSaveOnce(key: string, text: string, ttl: number): Promise<number>
  /**
   * @returns 1 if the artifact is now consumed with this mark; otherwise the stored text, or null
   */
  keyturnConsume(key: string, mark: string): Promise<1 | string | null>
  /** Consumes an artifact with this mark, whatever mark it had. */
  keyturnConsumeAgain(key: string, mark: string): Promise<unknown>
  /** Undoes a consumption with this mark. */
  keyturnUnconsume(key: string, mark: string): Promise<unknown>
  keyturnAddToGrant(key: string, ...inGrant: InGrant): Promise<unknown>
  /**
   * Consumes an artifact and saves others of one grant; not for a Cluster. A kept answer is a text
   * that may exist only once.
   * @param keys of the consumed artifact, of the grant's set, of the answer, and of the others; the
   * first key stands in for a set or an answer that does not exist
   * @param values consumption mark; text of the answer (empty for none) and its lifetime; the
   * instant; and for each other its text, its lifetime and its entry in the grant
   * @returns 1 if it is done; 0 if another answer is kept; the stored text of an artifact that was
   * consumed before, if no answer is to be kept; null if there is no such artifact
   */
  keyturnExchange(
    numberOfKeys: number,
    ...keysAndValues: (string | number)[]
  ): Promise<0 | 1 | string | null>
  /**
   * Does `keyturnSave` and `keyturnAddToGrant` at once; not for a Cluster, which may have the two
   * keys on two nodes.
   */
  keyturnSaveInGrant(
    key: string,
    grantKey: string,
    text: string,
    ttl: number,
    mark: string,
    ...inGrant: InGrant
  ): Promise<string | null>
  /**
   * Does `keyturnSave` and, unless the artifact is consumed, `keyturnSaveCopy` at once; not for a
   * Cluster.
   */
  keyturnSaveWithCopy(
    key: string,
    copyKey: string,
    text: string,
    ttl: number,
    mark: string,
  ): Promise<string | null>
  /** Saves a copy, unless another artifact's copy is there and expires later. */
  keyturnSaveCopy(key: string, text: string, ttl: number): Promise<unknown>
  /** Deletes a copy if it belongs to the artifact with this stored id. */
  keyturnDropCopy(key: string, id: string): Promise<unknown>
}

/**
 * Entry of a grant's set. `expiresAt` is an instant or +inf; members that expired by `now` are
 * removed.
 */
export type InGrant = readonly [member: string, expiresAt: number | string, now: number]

/**
 * The text of a key; false if there is none, or the key has another type. GET would fail then, and
 * Redis would count as out of order for everybody because of one key that another program wrote.
 */
const textAt = (key: string) => `redis.call('mget', ${key})[1]`

const SAVE = `
    local old = ${textAt('KEYS[1]')}
    local mark = old and string.match(old, '^[^{]*') or ''
    if mark == '' then mark = ARGV[3] end
    if ARGV[2] == '0' then redis.call('set', KEYS[1], mark .. ARGV[1])
    else redis.call('set', KEYS[1], mark .. ARGV[1], 'EX', ARGV[2]) end`

const addToGrant = (key: string, [member, expiresAt, now = '']: readonly string[]) => `
    ${addEntry(key, `${expiresAt}, ${member}`)}${endWithLast(key, now)}`

/** Adds an entry to a set, which replaces a key of another type as SET does. */
function addEntry(key: string, entry: string): string {
  return `local added = redis.pcall('zadd', ${key}, ${entry})
    if type(added) == 'table' then
      if string.find(added.err, 'WRONGTYPE', 1, true) then redis.call('unlink', ${key}) end
      redis.call('zadd', ${key}, ${entry})
    end`
}

/** Removes expired entries of a grant's set, which itself expires with its last entry. */
function endWithLast(key: string, now: string): string {
  return `
    redis.call('zremrangebyscore', ${key}, '-inf', '(' .. ${now})
    local last = redis.call('zrange', ${key}, -1, -1, 'withscores')[2]
    if last == 'inf' then redis.call('persist', ${key})
    else
      local left = math.floor(math.max(1, math.min(last - ${now}, ${LIFETIME_MAX})))
      redis.call('expire', ${key}, left)
    end`
}

const saveCopy = (key: string) => `
    local copy = ${textAt(key)}
    local mayReplace = true
    if copy and string.match(copy, '^[^{]*{([^:}]*)') ~= string.match(ARGV[1], '^[^{]*{([^:}]*)') then
      local left = redis.call('pttl', ${key})
      mayReplace = left ~= -1 and (ARGV[2] == '0' or left <= ARGV[2] * 1000)
    end
    if mayReplace then
      if ARGV[2] == '0' then redis.call('set', ${key}, ARGV[1])
      else redis.call('set', ${key}, ARGV[1], 'EX', ARGV[2]) end
    end`

/** Scripts with one key each. */
const SCRIPTS = {
  keyturnSave: `${SAVE}
    return old`,
  keyturnAddToGrant: addToGrant('KEYS[1]', ['ARGV[1]', 'ARGV[2]', 'ARGV[3]']),
  keyturnSaveOnce: `
    local old = ${textAt('KEYS[1]')}
    if old then return old == ARGV[1] and 1 or 0 end
    redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])
    return 1`,
  keyturnConsume: `
    local old = ${textAt('KEYS[1]')}
    if not old then return false end
    local mark = string.match(old, '^[^{]*')
    if mark == ARGV[1] then return 1 end
    if mark ~= '' then return old end
    redis.call('set', KEYS[1], ARGV[1] .. old, 'KEEPTTL')
    return 1`,
  keyturnConsumeAgain: `
    local old = ${textAt('KEYS[1]')}
    if old then
      redis.call('set', KEYS[1], ARGV[1] .. string.match(old, '{.*$'), 'KEEPTTL')
    end`,
  keyturnUnconsume: `
    local old = ${textAt('KEYS[1]')}
    if old and string.match(old, '^[^{]*') == ARGV[1] then
      redis.call('set', KEYS[1], string.sub(old, #ARGV[1] + 1), 'KEEPTTL')
    end`,
  keyturnSaveCopy: saveCopy('KEYS[1]'),
  keyturnDropCopy: `
    local copy = ${textAt('KEYS[1]')}
    if copy and string.match(copy, '^[^{]*{([^:}]*)') == ARGV[1] then redis.call('unlink', KEYS[1]) end`,
}

const SAVE_IN_GRANT = `${SAVE}${addToGrant('KEYS[2]', ['ARGV[4]', 'ARGV[5]', 'ARGV[6]'])}
    return old`

const SAVE_WITH_COPY = `${SAVE}
    if mark ~= '' then return old end${saveCopy('KEYS[2]')}
    return old`

/**
 * A repeated command, told by its mark or its answer, writes nothing, because an issued artifact
 * may have been consumed or deleted meanwhile.
 */
const EXCHANGE = `
    local used = ${textAt('KEYS[1]')}
    if not used then return false end
    if ARGV[2] == '' then
      local mark = string.match(used, '^[^{]*')
      if mark ~= '' then return mark == ARGV[1] and 1 or used end
    else
      local kept = ${textAt('KEYS[3]')}
      if kept then return kept == ARGV[2] and 1 or 0 end
      redis.call('set', KEYS[3], ARGV[2], 'EX', ARGV[3])
    end
    redis.call('set', KEYS[1], ARGV[1] .. string.match(used, '{.*$'), 'KEEPTTL')
    if #KEYS == 3 then return 1 end
    for key = 4, #KEYS do
      local index = 4 * key - 11
      redis.call('set', KEYS[key], ARGV[index], 'EX', ARGV[index + 1])
      ${addEntry('KEYS[2]', 'ARGV[index + 3], ARGV[index + 2]')}
    end${endWithLast('KEYS[2]', 'ARGV[4]')}
    return 1`

export function defineCommands({ client }: RedisConnection): Commands {
  for (const [name, lua] of Object.entries(SCRIPTS)) {
    client.defineCommand(name, { numberOfKeys: 1, lua })
  }
  client.defineCommand('keyturnSaveInGrant', { numberOfKeys: 2, lua: SAVE_IN_GRANT })
  client.defineCommand('keyturnSaveWithCopy', { numberOfKeys: 2, lua: SAVE_WITH_COPY })
  client.defineCommand('keyturnExchange', { lua: EXCHANGE })
  // The scripts were just defined; the other commands are the client's own, with fewer overloads.
  return client as unknown as Commands
}
