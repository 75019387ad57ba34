import { ReplyError } from 'ioredis'

/** Meaning of the errors of Redis and of ioredis. */

/** Errors that mean that another node, or the same one in a moment, will execute the command. */
const TEMPORARY_ERRORS = [
  'LOADING',
  'READONLY',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'MOVED',
  'ASK',
]

const HINTS: Readonly<Record<string, string>> = {
  DENIED:
    'it is in protected mode: it takes connections of its own machine only, as it has no password',
  NOAUTH: 'it asks for a password; put it into redis.url',
  WRONGPASS: 'it refuses the user or password of redis.url',
  OOM: 'it is full; give it more memory (maxmemory)',
  MISCONF: 'it cannot write to its disk and refuses writes',
}

/** True if the other end closed the connection. */
export function isCut({ message }: Error): boolean {
  return /ECONNRESET|EPIPE|Connection is closed|socket hang up/.test(message)
}

/** True if the same command may succeed in a moment, perhaps at another node. */
export function isTemporary(error: unknown): boolean {
  if (!(error instanceof ReplyError)) return true
  // A ReplyError is an Error, although its type lacks that.
  return TEMPORARY_ERRORS.some((word) => says(error as Error, word))
}

/** True if Redis has no database of the number that redis.url names. */
export function isOfDatabaseNumber({ message }: Error): boolean {
  return /DB index is out of range/.test(message)
}

/** True if the message has the error code; scripts of Redis 6 wrap the errors of their commands. */
export function says({ message }: Error, word: string): boolean {
  return message.startsWith(word) || message.includes(`-${word} `)
}

/** The reason in words, without arguments of commands. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [word = ''] = error.message.split(' ', 1)
  // A Cluster has the error of the last node that was tried.
  const { lastNodeError } = error as { lastNodeError?: unknown }
  if (lastNodeError instanceof Error) return explain(lastNodeError)
  if (isOfDatabaseNumber(error)) {
    return 'it has no database of the number that redis.url names'
  }
  if (error.message.startsWith('All sentinels are unreachable')) {
    return 'none of the Sentinels answers, or none knows the master'
  }
  // NOPERM names the command or the kind of key, never an argument.
  if (word === 'NOPERM') return `the ACL of the user of redis.url forbids it: ${error.message}`
  return HINTS[word] ?? error.message
}
