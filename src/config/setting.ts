import type { Path, SettingNode } from '../schema/tree.ts'

/**
 * Settings as data: their names, their environment variables, and which are secret. They are read
 * from a JSON Schema (`setting-tree.ts`), because that is a plain, documented tree.
 */

/**
 * True for a text setting, also one that a file may set to null: it takes the text of its
 * environment variable as it is.
 */
export function isText(node: SettingNode): boolean {
  const kinds = [node, ...(node.anyOf ?? [])].flatMap(({ type }) => type ?? [])
  return kinds.includes('string') && kinds.every((kind) => kind === 'string' || kind === 'null')
}

/**
 * The environment variable of a setting.
 * @example
 * environmentName(['rotation', 'rings', 'sig/RS256', 'jwksMaxAge'])
 * // KEYTURN_ROTATION__RINGS__SIG_RS256__JWKS_MAX_AGE
 */
export function environmentName(path: Path): string {
  return `${ENVIRONMENT_PREFIX}${path.map(environmentWord).join('__')}`
}

export const ENVIRONMENT_PREFIX = 'KEYTURN_'

/** Most bytes of a config file, or of a file with one value, such as a list of clients. */
export const SETTINGS_BYTES_MAX = 16 * 1024 * 1024

/**
 * The word of one name. Ring names keep their words. In camel case a word starts at a capital,
 * except for a last one (KiB).
 */
function environmentWord(name: string): string {
  const words = name.includes('/') ? name : name.replace(/([a-z0-9])([A-Z])(?!$)/g, '$1_$2')
  return words.replace(/[^A-Za-z0-9]+/g, '_').toUpperCase()
}
