import { randomBytes } from 'node:crypto'
import { type FoundRecord, MARKS_PER_SECOND } from '../artifacts/artifact-record.ts'

/**
 * Text that Redis has for an artifact: a consumption mark where there is one, a head for the
 * scripts, and the sealed payload.
 */

/** Text before a sealed payload, for the scripts: the artifact's id and the key of its copy. */
export function head(name: string, copied: string | undefined): string {
  return copied === undefined ? '{}' : `{${name}:${copied.replace(/[{}]/g, '')}}`
}

const STORED = /^([^{]*)\{(?:([\w-]+):([uc]):([\w-]+))?\}/

/** Tells whether a stored text has a consumption mark. @param stored what a command returned */
export function isConsumed(stored: unknown): boolean {
  return typeof stored === 'string' && !stored.startsWith('{')
}

/** The key of the copy that a stored text names, without the prefix. */
export function copyIn(stored: string): string | undefined {
  const [, , , letter, name] = STORED.exec(stored) ?? []
  return letter === undefined ? undefined : `${letter}:{${name}}`
}

/**
 * Parses a stored text. The seal later proves that model and id are right.
 * @param found the model, and the stored id; undefined for a copy, which contains the id
 */
export function parse(
  stored: string,
  { model, name }: { readonly model: string; readonly name: string | undefined },
): FoundRecord {
  const [before = '', mark = '', id = ''] = STORED.exec(stored) ?? []
  const consumedAt = mark === '' ? null : Number.parseInt(mark, 10) * MARKS_PER_SECOND
  return { model, id: name ?? id, payload: stored.slice(before.length), consumedAt }
}

const PROCESS = randomBytes(9).toString('base64url')
let marks = 0

/**
 * The consumption mark of one attempt, different from every other, so that a repeated command can
 * be told from another attempt.
 */
export function createMark(now: number): string {
  marks += 1
  return `${now} ${PROCESS}${marks.toString(36)}`
}
