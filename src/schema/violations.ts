import { stringify } from 'yaml'
import { z } from 'zod'
import type { Violation } from '../errors.ts'
import { visibly } from '../values/text.ts'
import { masked } from './masked.ts'
import {
  childNode,
  childValue,
  isMap,
  nearestPath,
  type Path,
  type SettingNode,
  settingsBelow,
} from './tree.ts'

/** Violations of a schema, in words for the people who write the value. */

/**
 * Checks one value, such as the metadata of a client, against a schema.
 * @returns a violation for each problem; paths begin at the value
 */
export function schemaViolations(schema: z.ZodType, value: unknown): readonly Violation[] {
  const result = schema.safeParse(value, { error: expectation })
  if (result.success) return ignoredNames(value)
  const tree = treeOf(schema)
  return withIgnoredNames(
    result.error.issues.flatMap((issue) => violationsOf(issue, value, tree)),
    value,
  )
}

/** Trees of schemas that a value did not fit, each made once, because zod takes long. */
const trees = new WeakMap<z.ZodType, SettingNode>()

function treeOf(schema: z.ZodType): SettingNode {
  // The cast narrows zod's type of JSON Schema to the keywords that zod writes for this schema.
  const tree = trees.get(schema) ?? (z.toJSONSchema(schema, { io: 'input' }) as SettingNode)
  trees.set(schema, tree)
  return tree
}

/** A name that zod silently leaves out of maps whose names people choose. */
const IGNORED_NAME = '__proto__'

export function ignoredNames(value: unknown, path: Path = []): readonly Violation[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.keys(value).flatMap((name) => {
    const at = [...path, name]
    if (name !== IGNORED_NAME) return ignoredNames(childValue(value, name), at)
    const shown = at.join('.')
    const message = 'this name is not allowed'
    return [{ path: shown, value: null, rule: 'format', message, fix: `remove ${shown}` }]
  })
}

export function withIgnoredNames(
  found: readonly Violation[],
  value: unknown,
): readonly Violation[] {
  const reported = new Set(found.map(({ path }) => path))
  return [...found, ...ignoredNames(value).filter(({ path }) => !reported.has(path))]
}

type Issue = z.core.$ZodIssue

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list, such as [a, b]',
  object: 'a map',
  record: 'a map',
}

/** Completes the sentence "it must be ...", for rules of the schema without a text. */
export function expectation(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected
    case 'invalid_value':
      return issue.values.length === 1
        ? `${String(issue.values[0])}`
        : `one of ${issue.values.join(', ')}`
    case 'too_small':
      return `at least ${issue.minimum}`
    case 'too_big':
      return `at most ${issue.maximum}`
    default:
      return 'something else'
  }
}

const RULES: Readonly<Record<string, string>> = {
  invalid_type: 'type',
  invalid_value: 'choice',
  too_small: 'range',
  too_big: 'range',
}

export function violationsOf(
  issue: Issue,
  value: unknown,
  tree: SettingNode,
): readonly Violation[] {
  if (issue.code === 'unrecognized_keys') {
    return pathsOf(issue).map((path) => unknownSetting(path, value, tree))
  }
  const path = issue.path.map(String)
  if (issue.code === 'invalid_key') return [misnamed(path, issue)]
  const node = path.reduce<SettingNode | undefined>(
    (parent, name) => parent && childNode(parent, name),
    tree,
  )
  const shown = masked(path.reduce(childValue, value), node)
  const name = path.join('.')
  const { instead, remove }: { instead?: unknown; remove?: unknown } =
    issue.code === 'custom' ? (issue.params ?? {}) : {}
  const state = shown === undefined ? 'is missing' : `is ${inWords(shown)}`
  return [
    {
      path: name,
      value: shown ?? null,
      rule: RULES[issue.code] ?? 'format',
      message: `it ${state}, but must be ${issue.message}`,
      fix: fixOf(name, issue.message, { instead, remove }),
    },
  ]
}

function fixOf(
  name: string,
  expected: string,
  { instead, remove }: { readonly instead?: unknown; readonly remove?: unknown },
): string {
  if (remove === true) return `remove ${name}`
  return instead === undefined ? `set ${name} to ${expected}` : `write ${instead} instead`
}

/** Violation of a name in a map whose names people choose. */
function misnamed(path: Path, issue: z.core.$ZodIssueInvalidKey): Violation {
  const expected = issue.issues[0]?.message ?? 'another'
  const message = `its name is ${visibly(path.at(-1) ?? '')}, but must be ${expected}`
  const fix = `rename it to ${expected}`
  return { path: path.join('.'), value: path.at(-1), rule: 'format', message, fix }
}

/** Shows no value, because the value may be a secret under a misspelt name. */
function unknownSetting(path: Path, value: unknown, tree: SettingNode): Violation {
  const known = settingsBelow(tree, value)
    // A deprecated name exists only to be refused.
    .filter(({ node }) => node.deprecated !== true)
    .map((setting) => setting.path)
  const nearest = nearestPath(path, known)
  const parent = path
    .slice(0, -1)
    .reduce<SettingNode | undefined>((node, name) => node && childNode(node, name), tree)
  const isOfClient = parent?.properties !== undefined && 'client_id' in parent.properties
  const what = isOfClient ? 'property of a client' : 'setting'
  return {
    path: path.join('.'),
    value: masked(path.reduce(childValue, value), undefined),
    rule: 'unknown-setting',
    ...renamed(path, nearest, what),
  }
}

/** @param nearest path of a known name */
function renamed(path: Path, nearest: Path, what: string): Pick<Violation, 'message' | 'fix'> {
  const name = path.at(-1) ?? ''
  if (name === MERGE) {
    const message = 'the merge key of YAML is not supported'
    return { message, fix: 'write the settings of the other map here' }
  }
  const to = nearest.join('.')
  const [parent, section] = [path, nearest].map((each) => each.slice(0, -1).join('.'))
  if (name.includes('.') && section !== parent) {
    const message = `no ${what} has this name, because a dot does not stand for a section`
    return { message, fix: `write ${nearest.at(-1)} in the section ${section}, or remove it` }
  }
  const message = `no ${what} has this name; the nearest is ${to}`
  return { message, fix: `rename it to ${to}, or remove it` }
}

/** Name in a map of YAML 1.1 that stands for the settings of another map. */
const MERGE = '<<'

export function pathsOf(issue: Issue): readonly Path[] {
  const path = issue.path.map(String)
  return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path]
}

function inWords(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (isMap(value)) return 'a map'
  // As YAML writes it, because JSON has no word for .inf and .nan.
  return typeof value === 'string' ? visibly(value) : stringify(value).trim()
}
