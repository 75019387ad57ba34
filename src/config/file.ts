import { isSeq, isMap as isYamlMap } from 'yaml'
import { readBoundedSync } from '../bounded-file.ts'
import { ConfigInvalid, type Violation } from '../errors.ts'
import { packageFile } from '../package-files.ts'
import { isMap } from '../schema/tree.ts'
import { visibly } from '../values/text.ts'
import { SETTINGS_BYTES_MAX } from './setting.ts'
import { readYaml, type YamlText } from './yaml.ts'

/** Settings from a YAML file, with the line of each. */

export interface ConfigText {
  /** Content of the file; an empty map if the file holds no setting or cannot be understood. */
  readonly value: Readonly<Record<string, unknown>>
  /** Line of each name and list item, from 1, by dotted path. */
  readonly lines: ReadonlyMap<string, number>
  readonly violations: readonly Violation[]
}

/** The content without a file. */
export const NO_FILE: ConfigText = { value: {}, lines: new Map(), violations: [] }

let defaults: ConfigText['value'] | undefined

/** Every setting with its default, from the package's own `config/default.yaml`; read once. */
export function readDefaults(): ConfigText['value'] {
  defaults ??= readDefaultFile()
  return defaults
}

function readDefaultFile(): ConfigText['value'] {
  const { value, violations } = readConfigFile(packageFile('config/default.yaml'))
  if (violations.length > 0) throw new ConfigInvalid(violations)
  return value
}

/** Reads a config file. A missing or empty file, or one that is not YAML, is a violation. */
export function readConfigFile(file: string): ConfigText {
  const unread = (reason: string, mend = 'mend') => {
    // Otherwise a line break after the name of a file would be invisible.
    const shown = file !== '' && file === visibly(file).slice(1, -1) ? file : visibly(file)
    const message = `the config file ${reason}`
    const own = file === '' ? '' : `${mend} ${shown}, or `
    const fix = `${own}name another file, as KEYTURN_CONFIG does`
    return failed([{ path: file || shown, value: null, rule: 'config-file', message, fix }])
  }
  let bytes: Buffer | undefined
  try {
    bytes = readBoundedSync(file, SETTINGS_BYTES_MAX)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException // only the system's calls throw here
    if (code !== 'ENOENT') return unread(`cannot be read: ${code}`)
    return unread(file === '' ? 'has no name' : 'does not exist', 'create')
  }
  if (!bytes) return unread(`has more than ${SETTINGS_BYTES_MAX} bytes`)
  const text = bytes.toString('utf8')
  // Half-written, perhaps: all defaults, the database's among them, would be a surprise.
  if (text.trim() === '') return unread('is empty')
  return parseConfig(text, file)
}

function parseConfig(text: string, file: string): ConfigText {
  const yaml = readYaml(text)
  const base = { path: file, value: null, rule: 'yaml' }
  if (yaml.problems.length > 0) {
    return failed(
      yaml.problems.map(({ place, detail }) => {
        const message = `the config file is not valid YAML: ${place}: ${detail}`
        return { ...base, message, fix: `correct ${file} at ${place}` }
      }),
    )
  }
  const value = yaml.value ?? {}
  if (!isMap(value)) {
    const message = 'the config file is not a map of settings'
    return failed([{ ...base, message, fix: `write "name: value" on each line of ${file}` }])
  }
  return { value, lines: linesOf(yaml.contents, [], yaml), violations: [] }
}

function failed(violations: readonly Violation[]): ConfigText {
  return { ...NO_FILE, violations }
}

function linesOf(
  node: unknown,
  path: readonly string[],
  yaml: Pick<YamlText, 'lineAt'>,
): ReadonlyMap<string, number> {
  const items = isYamlMap(node)
    ? node.items.map(({ key, value }) => ({ name: String(key), at: key, value }))
    : isSeq(node)
      ? node.items.map((value, index) => ({ name: `${index}`, at: value, value }))
      : []
  return new Map(
    items.flatMap(({ name, at, value }) => {
      const inner = [...path, name]
      const start = (at as { range?: readonly number[] } | null)?.range?.[0] // a YAML node or null
      const own: [string, number][] =
        start === undefined ? [] : [[inner.join('.'), yaml.lineAt(start)]]
      return [...own, ...linesOf(value, inner, yaml)]
    }),
  )
}
