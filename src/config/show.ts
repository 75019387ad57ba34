import { Document, isScalar, isSeq, isMap as isYamlMap } from 'yaml'
import { z } from 'zod'
import { readDefaults } from './file.ts'
import { type Config, settingsSchema } from './schema.ts'
import { masked } from './secret.ts'
import { childValue, isMap, type SettingNode, settingTree } from './setting.ts'

/** The configuration for people and for editors. */

/** The settings in effect as files write them: durations as text, secrets as `***`. */
export function shownSettings(config: Config): Readonly<Record<string, unknown>> {
  const { warnings: _, origins: __, ...settings } = config
  // The schema's own type is not readonly; encoding changes nothing.
  const written = z.encode(settingsSchema, settings as z.output<typeof settingsSchema>)
  return masked(written, settingTree()) as Record<string, unknown> // a map stays a map
}

/** The same as YAML; a comment says where a value came from that is not the default. */
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
 * check. Nothing outside lists is required: what a file leaves out has its default.
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
