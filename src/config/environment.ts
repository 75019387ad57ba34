import { readFileSync } from 'node:fs'
import type { Violation } from '../errors.ts'
import { MASK } from './secret.ts'
import {
  ENVIRONMENT_PREFIX,
  environmentName,
  isText,
  nearestPath,
  type Setting,
} from './setting.ts'
import { readYaml } from './yaml.ts'

/** Settings from environment variables. */

export type Environment = Readonly<Record<string, string | undefined>>

export interface EnvironmentValue {
  readonly setting: Setting
  /** The variable it came from. */
  readonly name: string
  readonly value: unknown
}

/** Names the config file. */
export const CONFIG_FILE_VARIABLE = `${ENVIRONMENT_PREFIX}CONFIG`

/**
 * The values that the environment gives, sections before what they hold.
 * @param settings all that can be set; a variable that names none of them is a violation
 */
export function readEnvironment(
  env: Environment,
  settings: readonly Setting[],
): { readonly values: readonly EnvironmentValue[]; readonly violations: readonly Violation[] } {
  const known = new Map(settings.map((setting) => [environmentName(setting.path), setting]))
  const values: EnvironmentValue[] = []
  const violations: Violation[] = []

  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !isOurs(name, text)) continue
    // seal.file makes KEYTURN_SEAL__FILE a setting of its own, so the whole name comes first.
    const direct = known.get(name)
    const setting = direct ?? known.get(name.replace(/_FILE$/, ''))
    const result = setting
      ? readValue(name, direct ? text : fromFile(name, text), setting, env)
      : unknownVariable(name, [...known.keys()])
    if ('rule' in result) violations.push(result)
    else values.push(result)
  }
  values.sort((a, b) => a.setting.path.length - b.setting.path.length)
  return { values, violations }
}

function readValue(
  name: string,
  text: string | Violation,
  setting: Setting,
  env: Environment,
): EnvironmentValue | Violation {
  if (typeof text !== 'string') return text
  const plain = environmentName(setting.path)
  if (name !== plain && env[plain] !== undefined) {
    const message = `${plain} and ${name} are both set`
    return variableViolation(name, 'set-twice', message, `unset ${plain} or ${name}`)
  }
  if (isText(setting.node)) return { setting, name, value: text }

  const { value, problems } = readYaml(text)
  const [problem] = problems
  if (!problem) return { setting, name, value }
  const message = `its value is not valid YAML: ${problem.detail}`
  return variableViolation(name, 'yaml', message, `correct the value of ${name}`)
}

function fromFile(name: string, file: string): string | Violation {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException // readFileSync throws nothing else
    const message = `the file it names cannot be read: ${code}`
    return variableViolation(name, 'value-file', message, `set ${name} to a file that can be read`)
  }
}

function unknownVariable(name: string, known: readonly string[]): Violation {
  const words = (variable: string) => variable.slice(ENVIRONMENT_PREFIX.length).split('__')
  const nearest = nearestPath(words(name), known.map(words)).join('__')
  const suggestion = `${ENVIRONMENT_PREFIX}${nearest}`
  const message = `no setting has this name; the nearest is ${suggestion}`
  return variableViolation(name, 'unknown-setting', message, `use ${suggestion}, or unset ${name}`)
}

/** No value is shown: it may be a secret under a name that was misspelt. */
function variableViolation(path: string, rule: string, message: string, fix: string): Violation {
  return { path, value: MASK, rule, message, fix }
}

/** Kubernetes gives every pod variables like these for a Service whose name starts with keyturn. */
const SERVICE = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)$/

function isOurs(name: string, text: string): boolean {
  if (!name.startsWith(ENVIRONMENT_PREFIX) || name === CONFIG_FILE_VARIABLE) return false
  const isService = SERVICE.test(name) || (/_PORT$/.test(name) && /^(tcp|udp|sctp):/.test(text))
  return !isService
}
