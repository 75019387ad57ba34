import { isDeepStrictEqual } from 'node:util'
import { Document, isScalar, isSeq, isMap as isYamlMap } from 'yaml'
import { z } from 'zod'
import { masked } from '../schema/masked.ts'
import { childValue, isMap, type Path, type SettingNode } from '../schema/tree.ts'
import { readDefaults } from './file.ts'
import { type Config, type Settings, settingsSchema } from './schema.ts'
import { settingTree } from './setting-tree.ts'

/** The configuration for people and for editors. */

/**
 * The settings in effect as files write them: durations as text, secrets as `***`. Of several
 * issuers, each entry has its differences from the settings that apply to all.
 */
export function shownSettings(config: Config): Readonly<Record<string, unknown>> {
  const { warnings: _, origins: __, issuers, ...shared } = config
  const [only] = issuers
  if (only && issuers.length === 1) return written(only)
  // The issuer at the top level is the default, which no issuer uses.
  const { issuer: ___, ...ofAll } = written({ ...shared, issuer: only?.issuer ?? '' })
  return { ...ofAll, issuers: issuers.map((settings) => difference(written(settings), ofAll)) }
}

function written(settings: Settings): Record<string, unknown> {
  // The schema's own type is not readonly; encoding changes nothing.
  const encoded = z.encode(settingsSchema, settings as z.output<typeof settingsSchema>)
  return masked(encoded, settingTree()) as Record<string, unknown> // a map stays a map
}

/** Values of `own` that differ from `shared`. Lists and rings count as a whole. */
function difference(own: unknown, shared: unknown, path: Path = []): unknown {
  if (!isMap(own) || !isMap(shared) || path.join('.') === 'rotation.rings') return own
  const names = Object.keys(own).filter((name) => !isDeepStrictEqual(own[name], shared[name]))
  return Object.fromEntries(
    names.map((name) => [name, difference(own[name], shared[name], [...path, name])]),
  )
}

/**
 * The settings in effect as YAML, where a comment tells the source of each value that is not a
 * default.
 */
export function configText(config: Config): string {
  const document = new Document(shownSettings(config))
  comment(document.contents, [], (path) => {
    const origin = config.origins[path]
    if (!origin) return undefined
    return origin.source === 'file' ? `${origin.file}, line ${origin.line}` : origin.name
  })
  return document.toString({ lineWidth: 100 })
}

/**
 * JSON Schema (draft 2020-12) of a config file, with the defaults, so that editors complete and
 * check. Nothing outside lists is required, because an omitted setting has its default.
 */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  return { title: 'Keyturn configuration', ...withDefaults(settingTree(), readDefaults()) }
}

function withDefaults(node: SettingNode, value: unknown): SettingNode {
  if (!node.properties || !isMap(value)) return { ...node, default: value }
  const { required: _, ...rest } = node
  const properties = Object.entries(node.properties).map(([name, child]) => [
    name,
    withDefaults(child, childValue(value, name)),
  ])
  return { ...rest, properties: Object.fromEntries(properties) }
}

function comment(
  node: unknown,
  path: readonly string[],
  commentOn: (path: string) => string | undefined,
): void {
  if (isYamlMap(node)) {
    for (const { key, value } of node.items) comment(value, [...path, String(key)], commentOn)
  }
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries())
      comment(item, [...path, `${index}`], commentOn)
  }
  const text = isScalar(node) ? commentOn(path.join('.')) : undefined
  if (isScalar(node) && text !== undefined) node.comment = ` ${text}`
}
