import type { Violation } from '../errors.ts'
import { childNode, childValue, isMap, type Path, type SettingNode } from '../schema/tree.ts'

/**
 * The list `issuers`, with one entry for each issuer of a server with several. An entry has the
 * differences from the settings at the top level, which apply to all. Pure.
 */

/** Name of the list. */
export const ISSUERS = 'issuers'

/** Settings that all issuers of a process share, so that no entry may have them. */
const OF_THE_PROCESS: readonly Path[] = [
  ['environment'],
  ['http'],
  ['management'],
  ['database'],
  ['redis'],
  ['keyStore'],
  ['seal'],
  ['sweep'],
  ['dataProtection'],
  ['log'],
  ['password', 'argon2'],
  ['rotation', 'clockSkew'],
  ['rotation', 'witness'],
]

/**
 * The tree of all settings with `issuers`, whose entries have the same settings, none of them
 * required.
 */
export function withIssuersNode(tree: SettingNode): SettingNode {
  const entry = { ...optional(tree), required: ['issuer'] }
  const items = OF_THE_PROCESS.reduce(without, entry)
  const issuers = { type: ['array', 'null'], description: DESCRIPTION, items }
  return { ...tree, properties: { ...tree.properties, [ISSUERS]: issuers } }
}

const DESCRIPTION =
  'Instead of issuer, where one server has several: of each its issuer, and what differs from the ' +
  'settings at the top level.'

/**
 * The node with nothing required, because an entry leaves out equal settings. Items of lists stay
 * whole, because a list replaces a list.
 */
function optional(node: SettingNode): SettingNode {
  const { required: _, ...rest } = node
  if (!node.properties) return node
  const properties = Object.entries(node.properties).map(
    ([name, child]) => [name, optional(child)] as const,
  )
  return { ...rest, properties: Object.fromEntries(properties) }
}

function without(node: SettingNode, [name = '', ...rest]: Path): SettingNode {
  const child = node.properties?.[name]
  if (!child) return node
  const { [name]: _, ...others } = node.properties
  const properties = rest.length === 0 ? others : { ...others, [name]: without(child, rest) }
  return { ...node, properties }
}

/** Violations of the list itself, and of entries with settings that belong to the process. */
export function brokenEntries(
  list: unknown,
  { hasIssuer, tree }: { readonly hasIssuer: boolean; readonly tree: SettingNode },
): readonly Violation[] {
  if (!Array.isArray(list) || list.length === 0) return [NO_LIST]
  const beside = hasIssuer ? [BESIDE] : []
  const strays = list.flatMap((entry: unknown, index) => {
    const path = `${ISSUERS}.${index}`
    if (!isMap(entry)) return [noMap(path, entry)]
    return OF_THE_PROCESS.filter((each) => valueAt(entry, each) !== undefined).map((each) =>
      stray(`${path}.${each.join('.')}`, each, tree),
    )
  })
  return [...beside, ...strays]
}

/** An entry without settings of the process, so that rules between settings can be checked. */
export function ownSettings(entry: unknown): unknown {
  return OF_THE_PROCESS.reduce(withoutValue, entry)
}

/** True if the entry has a value of its own at the path. */
export function hasValueAt(entry: unknown, path: string): boolean {
  return valueAt(entry, path.split('.')) !== undefined
}

const NO_LIST: Violation = {
  path: ISSUERS,
  value: null,
  rule: 'issuers',
  message: 'it must be a list of at least one entry, each with its issuer',
  fix: 'write "issuers: [{ issuer: https://... }]", or issuer instead of it',
}

const BESIDE: Violation = {
  path: 'issuer',
  value: null,
  rule: 'issuer-or-issuers',
  message:
    'issuer and issuers are both set, so it is not clear whether this server has one issuer or several',
  fix: 'make issuer the issuer of an entry of issuers, and remove it from the top level',
}

function noMap(path: string, value: unknown): Violation {
  const message = 'it must be a map with an issuer'
  return { path, value, rule: 'type', message, fix: `write "issuer: https://..." in ${path}` }
}

function stray(path: string, name: Path, tree: SettingNode): Violation {
  const node = name.reduce<SettingNode | undefined>((at, each) => at && childNode(at, each), tree)
  const what = String(node?.description ?? '').replace(/\.$/, '')
  return {
    path,
    // Not shown, because the value may be a secret, such as the URL of a database.
    value: null,
    rule: 'setting-of-the-process',
    message: `${name.join('.')} belongs to the process, which all issuers share (${what})`,
    fix: `move it to the top level, as ${name.join('.')}`,
  }
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(childValue, value)
}

function withoutValue(value: unknown, [name = '', ...rest]: Path): unknown {
  if (!isMap(value) || !Object.hasOwn(value, name)) return value
  const { [name]: inner, ...others } = value
  return rest.length === 0 ? others : { ...others, [name]: withoutValue(inner, rest) }
}

/**
 * Violations between issuers. Requests are told apart by host and path, so no two issuers may have
 * the same host and path, and no path may begin with another's.
 * @param issuers values as written; a value that is not a URL is reported elsewhere
 */
export function brokenIssuerUrls(issuers: readonly unknown[]): readonly Violation[] {
  return issuers.flatMap((issuer, index) => {
    const path = `${ISSUERS}.${index}.issuer`
    for (const [other, earlier] of issuers.slice(0, index).entries()) {
      const message = conflict(issuer, earlier)
      if (message === undefined) continue
      const fix = `give ${ISSUERS}.${index} or ${ISSUERS}.${other} another host or path`
      return [{ path, value: issuer, rule: 'issuers-apart', message, fix }]
    }
    return []
  })
}

/**
 * The port by which requests are told apart. Those of http and https count as equal, because a
 * request need not name them.
 */
export function portOf({ port }: { readonly port: string }): string {
  return ['80', '443'].includes(port) ? '' : port
}

/** The host without the dot at its end, which a request may have or not. */
function hostOf({ hostname }: { readonly hostname: string }): string {
  return hostname.replace(/\.$/, '')
}

/** The reason why requests for two issuers could not be told apart; undefined if they can. */
function conflict(one: unknown, other: unknown): string | undefined {
  if (typeof one !== 'string' || typeof other !== 'string') return undefined
  if (!URL.canParse(one) || !URL.canParse(other)) return undefined
  if (one === other) return `${other} is the issuer of two entries`
  const [a, b] = [new URL(one), new URL(other)]
  if (hostOf(a) !== hostOf(b) || portOf(a) !== portOf(b)) return undefined
  const [ours, theirs] = [a, b].map(({ pathname }) => pathname.replace(/\/$/, '').toLowerCase())
  if (ours === undefined || theirs === undefined) return undefined
  if (ours === theirs)
    return `${other} has the same host and path, so requests cannot be told apart`
  if (!`${ours}/`.startsWith(`${theirs}/`) && !`${theirs}/`.startsWith(`${ours}/`)) return undefined
  return `${other} has the same host, and one path begins with the other, so requests cannot be told apart`
}
