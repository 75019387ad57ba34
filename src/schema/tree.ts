import { distance } from 'fastest-levenshtein'

/** A JSON Schema as a plain tree of the names that a value may have, and of secrets among them. */

/** The part of a JSON Schema node (draft 2020-12) that settings are made of. */
export interface SettingNode {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, SettingNode>>
  readonly propertyNames?: { readonly enum?: readonly string[] }
  readonly additionalProperties?: SettingNode | boolean
  readonly items?: SettingNode
  readonly anyOf?: readonly SettingNode[]
  /** True for a secret. */
  readonly writeOnly?: boolean
  readonly [keyword: string]: unknown
}

/** Names from the root; a list index is a decimal number. */
export type Path = readonly string[]

export interface Setting {
  readonly path: Path
  readonly node: SettingNode
}

/**
 * Every setting and section below a node, sections before their content. Lists and open maps have
 * the entries of `value`; maps of rings have all possible rings.
 */
export function settingsBelow(
  node: SettingNode,
  value: unknown,
  path: Path = [],
): readonly Setting[] {
  return namesIn(node, value).flatMap((name) => {
    const child = childNode(node, name)
    if (!child) return []
    const childPath = [...path, name]
    return [
      { path: childPath, node: child },
      ...settingsBelow(child, childValue(value, name), childPath),
    ]
  })
}

/** The node of a name in a map, or of an index in a list. */
export function childNode(node: SettingNode, name: string): SettingNode | undefined {
  const { properties, propertyNames, additionalProperties, items } = withoutNull(node)
  if (items) return items
  if (properties && Object.hasOwn(properties, name)) return properties[name]
  if (typeof additionalProperties !== 'object') return undefined
  return propertyNames?.enum?.includes(name) === false ? undefined : additionalProperties
}

export function childValue(value: unknown, name: string): unknown {
  return isMap(value) || Array.isArray(value)
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Cost of a right name at the wrong place, in wrong letters. */
const MOVED_COST = 2.5

/** The known path that is most like an unknown one, which is misspelt or at the wrong place. */
export function nearestPath(path: Path, known: readonly Path[]): Path {
  const unlikeness = (candidate: Path) =>
    Math.min(
      distance(path.join('.').toLowerCase(), candidate.join('.').toLowerCase()),
      MOVED_COST +
        distance((path.at(-1) ?? '').toLowerCase(), (candidate.at(-1) ?? '').toLowerCase()),
    )
  const names = known.filter((candidate) => !/^\d+$/.test(candidate.at(-1) ?? ''))
  return names.reduce((best, next) => (unlikeness(next) < unlikeness(best) ? next : best))
}

function namesIn(node: SettingNode, value: unknown): readonly string[] {
  const { properties, propertyNames, items } = withoutNull(node)
  if (properties) return Object.keys(properties)
  if (propertyNames?.enum) return propertyNames.enum
  if (items) return Array.isArray(value) ? value.map((_, index) => `${index}`) : []
  return propertyNames && isMap(value) ? Object.keys(value) : []
}

/** The node without null, because JSON Schema has a nullable map as a choice of two nodes. */
function withoutNull(node: SettingNode): SettingNode {
  return node.anyOf?.find((choice) => choice.type !== 'null') ?? node
}
