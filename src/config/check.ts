import type { Violation } from '../errors.ts'
import { childValue, isMap, type Path, type SettingNode } from '../schema/tree.ts'
import {
  expectation,
  passedOver,
  pathsOf,
  violationsOf,
  withPassedOver,
} from '../schema/violations.ts'
import { type Settings, settingsSchema } from './schema.ts'

/** The merged settings against the schema, one violation for each problem. */

export interface CheckedSettings {
  /**
   * The settings; with defaults in the place of what is wrong, so that rules between settings can
   * be checked all the same. Undefined where that is not possible.
   */
  readonly settings: Settings | undefined
  readonly violations: readonly Violation[]
}

export interface KnownSettings {
  readonly tree: SettingNode
  /** A complete and valid value. */
  readonly defaults: unknown
}

export function checkSettings(value: unknown, known: KnownSettings): CheckedSettings {
  const result = settingsSchema.safeParse(value, { error: expectation })
  if (result.success) return { settings: result.data, violations: passedOver(value) }
  const { issues } = result.error
  const repaired = issues
    .flatMap(pathsOf)
    .reduce((rest, path) => withDefault(rest, known.defaults, path), value)
  return {
    settings: settingsSchema.safeParse(repaired).data,
    violations: withPassedOver(
      issues.flatMap((issue) => violationsOf(issue, value, known.tree)),
      value,
    ),
  }
}

/** A list with something wrong in it falls back as a whole. */
function withDefault(value: unknown, defaults: unknown, path: Path): unknown {
  const [name, ...rest] = path
  if (name === undefined || !isMap(value)) return defaults
  const { [name]: inner, ...others } = value
  const own = withDefault(inner, childValue(defaults, name), rest)
  return own === undefined ? others : { ...others, [name]: own }
}
