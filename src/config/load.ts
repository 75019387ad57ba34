import { ConfigInvalid, type Violation } from '../errors.ts'
import { settingsBelow } from '../schema/tree.ts'
import { checkIssuers } from './check-issuers.ts'
import {
  CONFIG_FILE_VARIABLE,
  type Environment,
  FILE_SUFFIX,
  readEnvironment,
} from './environment.ts'
import { NO_FILE, readConfigFile, readDefaults } from './file.ts'
import { lay, layAt, pathsIn } from './layer.ts'
import type { Config, Origin, Settings } from './schema.ts'
import { settingTree } from './setting-tree.ts'
import { configWarnings } from './warnings.ts'

/**
 * The configuration: `config/default.yaml`, a config file over it, the environment over both. Read
 * once, checked as a whole, never changed.
 */

export interface ConfigSources {
  /** File named by a command. Default: the file that `KEYTURN_CONFIG` names, if any. */
  readonly file?: string | undefined
  /** `process.env`. */
  readonly env: Environment
}

/**
 * Loads the configuration.
 * @throws ConfigInvalid with every problem in every source
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
  const value = values.reduce(
    (below, { setting, value }) => layAt(below, setting.path, value),
    base,
  )
  const {
    settings,
    issuers,
    violations: misfits,
  } = checkIssuers(value, {
    defaults,
    tree,
    hasIssuer: 'issuer' in text.value || values.some(({ setting }) => setting.path[0] === 'issuer'),
    isReadable: text.violations.length === 0,
  })
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
    ...misfits.map((violation) =>
      withOrigin(violation, origins.get(violation.path) ?? origins.get(atTopLevel(violation.path))),
    ),
  ]
  if (problems.length > 0 || !settings) throw new ConfigInvalid(problems)
  // KEYTURN_SEAL__KEYS_FILE, if it gave the keys.
  const keysFile = values.find(({ setting, name }) => isKeysFile(setting.path, name))?.name
  const warnings = warningsOf(issuers, keysFile && env[keysFile])
  const { issuer: _, ...shared } = settings
  return deepFreeze({ ...shared, issuers, warnings, origins: Object.fromEntries(origins) })
}

/** Each warning once, with its issuer unless all issuers have it. */
function warningsOf(issuers: readonly Settings[], keysFile: string | undefined): readonly string[] {
  const own = issuers.map((settings) => configWarnings(settings, keysFile))
  const isOfAll = (warning: string) => own.every((warnings) => warnings.includes(warning))
  const texts = own.flatMap((warnings, index) =>
    warnings.map((text) => (isOfAll(text) ? text : `Issuer ${issuers[index]?.issuer}: ${text}`)),
  )
  return [...new Set(texts)]
}

/** The path at the top level from which an entry of `issuers` inherits a value. */
function atTopLevel(path: string): string {
  return path.replace(/^issuers\.\d+\./, '')
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
