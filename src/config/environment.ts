import { readBoundedSync } from '../bounded-file.ts'
import type { Violation } from '../errors.ts'
import { MASK } from '../schema/masked.ts'
import { nearestPath, type Setting } from '../schema/tree.ts'
import { ENVIRONMENT_PREFIX, environmentName, isText, SETTINGS_BYTES_MAX } from './setting.ts'
import { readYaml } from './yaml.ts'

/** Settings from environment variables. */

export type Environment = Readonly<Record<string, string | undefined>>

export interface EnvironmentValue {
  readonly setting: Setting
  /** The variable of the value. */
  readonly name: string
  readonly value: unknown
}

/** Suffix of a variable that names a file with the value. */
export const FILE_SUFFIX = '_FILE'

/** Variable that names the config file. */
export const CONFIG_FILE_VARIABLE = `${ENVIRONMENT_PREFIX}CONFIG`

/**
 * Values of the environment, sections before their content.
 * @param settings all settings; a variable that names none of them is a violation
 */
export function readEnvironment(
  env: Environment,
  settings: readonly Setting[],
): { readonly values: readonly EnvironmentValue[]; readonly violations: readonly Violation[] } {
  const known = new Map(
    settings.flatMap((setting) => {
      const name = environmentName(setting.path)
      // A section cannot be read from a file: KEYTURN_SEAL_FILE is a misspelt KEYTURN_SEAL__FILE.
      const names = setting.node.properties ? [name] : [`${name}${FILE_SUFFIX}`, name]
      return names.map((each) => [each, setting] as const)
    }),
  )
  const values: EnvironmentValue[] = []
  const violations: Violation[] = []

  for (const [name, text] of Object.entries(env).sort()) {
    const setting = known.get(name)
    if (text === undefined || (!setting && !isOurs(name, text))) continue
    const result = setting
      ? readValue(name, text, setting, env)
      : unknownVariable(name, [CONFIG_FILE_VARIABLE, ...known.keys()])
    if ('rule' in result) violations.push(result)
    else values.push(result)
  }
  values.sort((a, b) => a.setting.path.length - b.setting.path.length)
  return { values, violations }
}

function readValue(
  name: string,
  given: string,
  setting: Setting,
  env: Environment,
): EnvironmentValue | Violation {
  const plain = environmentName(setting.path)
  if (name !== plain && env[plain] !== undefined) {
    const message = `${plain} and ${name} are both set`
    return variableViolation(name, 'set-twice', message, `unset ${plain} or ${name}`)
  }
  const text = name === plain ? given : readText(given)
  if (typeof text !== 'string') {
    const message = `the file it names cannot be read: ${text.reason}`
    return variableViolation(name, 'value-file', message, `set ${name} to a file that can be read`)
  }
  if (isText(setting.node)) return { setting, name, value: text }

  const { value, problems } = readYaml(text)
  const [problem] = problems
  if (!problem) return { setting, name, value }
  const message = `its value is not valid YAML: ${problem.detail}`
  return variableViolation(name, 'yaml', message, `correct the value of ${name}`)
}

function readText(file: string): string | { readonly reason: string | undefined } {
  try {
    const bytes = readBoundedSync(file, SETTINGS_BYTES_MAX)
    if (!bytes) return { reason: `it has more than ${SETTINGS_BYTES_MAX} bytes` }
    return bytes.toString('utf8').replace(/\r?\n$/, '')
  } catch (error) {
    // Only the system's calls throw here.
    return { reason: (error as NodeJS.ErrnoException).code }
  }
}

function unknownVariable(name: string, known: readonly string[]): Violation {
  const words = (variable: string) => variable.slice(ENVIRONMENT_PREFIX.length).split('__')
  const nearest = nearestPath(words(name), known.map(words)).join('__')
  const suggestion = `${ENVIRONMENT_PREFIX}${nearest}`
  const message = `no setting has this name; the nearest is ${suggestion}`
  return variableViolation(name, 'unknown-setting', message, `use ${suggestion}, or unset ${name}`)
}

/** Shows no value, because the value may be a secret under a misspelt name. */
function variableViolation(path: string, rule: string, message: string, fix: string): Violation {
  return { path, value: MASK, rule, message, fix }
}

/** Variables of Kubernetes for a Service whose name starts with keyturn, which every pod gets. */
const SERVICE = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)$/

/** Tells whether a name that no setting has is one for Keyturn. */
function isOurs(name: string, text: string): boolean {
  // In small letters it is a mistake too, which would otherwise go unnoticed.
  if (!name.toUpperCase().startsWith(ENVIRONMENT_PREFIX)) return false
  if (name === CONFIG_FILE_VARIABLE) return false
  const isService = SERVICE.test(name) || (/_PORT$/.test(name) && /^(tcp|udp|sctp):/.test(text))
  return !isService
}
