import { brokenConfiguredClients, withCompleteClients } from '../clients/configured.ts'
import { clientContext } from '../clients/context.ts'
import { ConfigInvalid, type Violation } from '../errors.ts'
import { brokenBounds } from './bounds.ts'
import { checkSettings } from './check.ts'
import {
  CONFIG_FILE_VARIABLE,
  type Environment,
  FILE_SUFFIX,
  readEnvironment,
} from './environment.ts'
import { NO_FILE, readConfigFile, readDefaults } from './file.ts'
import { lay, layAt, pathsIn } from './layer.ts'
import { brokenLogo } from './logo.ts'
import type { Config, Origin } from './schema.ts'
import { settingsBelow, settingTree } from './setting.ts'
import { configWarnings } from './warnings.ts'

/**
 * The configuration: `config/default.yaml`, a config file over it, the environment over both;
 * read once, checked as a whole, never changed.
 */

export interface ConfigSources {
  /** The file that a command names; else `KEYTURN_CONFIG` names the file, or there is none. */
  readonly file?: string | undefined
  /** `process.env`. */
  readonly env: Environment
}

/**
 * @throws ConfigInvalid with every problem there is, in every source
 * @example
 * const config = loadConfig({ file: 'config/demo.yaml', env: process.env })
 */
export function loadConfig(sources: ConfigSources): Config {
  const { env, file = env[CONFIG_FILE_VARIABLE] || undefined } = sources
  const tree = settingTree()
  const defaults = readDefaults()
  const text = file === undefined ? NO_FILE : readConfigFile(file)
  const base = lay(defaults, text.value)
  const { values, violations } = readEnvironment(env, settingsBelow(tree, base))
  const value = withCompleteClients(
    values.reduce((below, { setting, value }) => layAt(below, setting.path, value), base),
  )
  const { settings, violations: misfits } = checkSettings(value, { defaults, tree })

  // Rules between defaults and a file that could not be read would only confuse.
  const bounds =
    settings && text.violations.length === 0
      ? [
          ...brokenBounds(settings),
          ...brokenLogo(settings),
          ...brokenConfiguredClients(value, clientContext(settings)),
        ]
      : []
  const wrong = new Set(misfits.map((misfit) => misfit.path))
  const origins = new Map<string, Origin>([
    ...[...text.lines].map(([path, line]) => [path, fileOrigin(file, line)] as const),
    ...values.flatMap(({ setting, name, value }) =>
      pathsIn(value, setting.path).map(
        (path) => [path.join('.'), { source: 'environment', name }] as const,
      ),
    ),
  ])
  const problems = [
    ...text.violations,
    ...violations,
    ...[...misfits, ...bounds.filter((bound) => !wrong.has(bound.path))].map((violation) =>
      withOrigin(violation, origins.get(violation.path)),
    ),
  ]
  if (problems.length > 0 || !settings) throw new ConfigInvalid(problems)
  // KEYTURN_SEAL__KEYS_FILE, where that gave the keys.
  const keysFile = values.find(({ setting, name }) => isKeysFile(setting.path, name))?.name
  const warnings = configWarnings(settings, keysFile && env[keysFile])
  return deepFreeze({ ...settings, warnings, origins: Object.fromEntries(origins) })
}

function isKeysFile(path: readonly string[], name: string): boolean {
  return path.join('.') === 'seal.keys' && name.endsWith(FILE_SUFFIX)
}

function fileOrigin(file = '', line: number): Origin {
  return { source: 'file', file, line }
}

function withOrigin(violation: Violation, origin: Origin | undefined): Violation {
  if (!origin) return violation
  const place = origin.source === 'file' ? `${origin.file}, line ${origin.line}` : origin.name
  return { ...violation, message: `${violation.message} (${place})` }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFreeze)
  return Object.freeze(value)
}
