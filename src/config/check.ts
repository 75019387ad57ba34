import type { Violation } from '../errors.ts'
import { childValue, isMap, type Path, type SettingNode } from '../schema/tree.ts'
import {
  expectation,
  ignoredNames,
  pathsOf,
  violationsOf,
  withIgnoredNames,
} from '../schema/violations.ts'
import { type Settings, settingsSchema } from './schema.ts'

/** Checks the merged settings against the schema, with one violation for each problem. */

export interface CheckedSettings {
  /**
   * The settings, with defaults instead of wrong values, so that rules between settings can still
   * be checked. Undefined if that is impossible.
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
  if (result.success) return { settings: result.data, violations: ignoredNames(value) }
  const { issues } = result.error
  const repaired = issues
    .flatMap(pathsOf)
    .reduce((rest, path) => withDefault(rest, known.defaults, path), value)
  return {
    settings: settingsSchema.safeParse(repaired).data,
    violations: withIgnoredNames(
      issues.flatMap((issue) => violationsOf(issue, value, known.tree)),
      value,
    ),
  }
}

/** Replaces the value at a path by its default. A list with a wrong item is replaced as a whole. */
function withDefault(value: unknown, defaults: unknown, path: Path): unknown {
  const [name, ...rest] = path
  if (name === undefined || !isMap(value)) return defaults
  const { [name]: inner, ...others } = value
  const own = withDefault(inner, childValue(defaults, name), rest)
  return own === undefined ? others : { ...others, [name]: own }
}
