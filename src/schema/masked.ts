import { childNode, isMap, type SettingNode } from './tree.ts'

/** What may be shown of values: never a secret, and never what may be one under a misspelt name. */

export const MASK = '***'

/** The value with `***` in the place of every secret. */
export function masked(value: unknown, node: SettingNode | undefined): unknown {
  if (value === null || value === undefined) return value
  if (!node || node.writeOnly) return MASK
  if (Array.isArray(value))
    return value.map((item, index) => masked(item, childNode(node, `${index}`)))
  if (isMap(value)) {
    const entries = Object.entries(value).map(([name, inner]) => [
      name,
      isSecretMetadata(node, name) ? MASK : masked(inner, childNode(node, name)),
    ])
    return Object.fromEntries(entries)
  }
  if (holdsSecret(node)) return MASK
  if (typeof value !== 'string') return value
  // Where a URL belongs, what is none may be the password alone.
  const isUrl = [node, ...(node.anyOf ?? [])].some(({ format }) => format === 'uri')
  if (isUrl && !/^sqlite:|:\/\//.test(value)) return MASK
  return value
    .replace(URL_PASSWORD, `$1${MASK}@`)
    .replace(QUERY_SECRET, `$1${MASK}`)
    .replace(QUERY_TEXT, `$1${MASK}`)
}

/** Client metadata is open: what the schema does not name may be a secret all the same. */
function isSecretMetadata({ properties }: SettingNode, name: string): boolean {
  const isNamed = properties !== undefined && Object.hasOwn(properties, name)
  return !isNamed && /secret|passw|private|(access|refresh)_token$/i.test(name)
}

/**
 * As in postgres://keyturn:PASSWORD@db.example/keyturn, up to the last @: a password with a character
 * that a URL does not take is one all the same.
 */
const URL_PASSWORD = /(:\/\/[^/?#\s:@]*:).*@/s

/** `?password=`, `?sslpassword=`, and what else holds such a word. */
const QUERY_SECRET = /([?&][^=&#]*(?:pass|pwd|secret|token)[^=&#]*=)[^&#]*/gi
/** A private key itself, or JSON that may hold one, in the place of a file. */
const QUERY_TEXT = /([?&][^=&#]*=)(?:-----BEGIN|%2D%2D|\{|%7B)[^&#]*/gi

/** A scalar that stands where a section with secrets belongs may be one of them. */
function holdsSecret(node: SettingNode): boolean {
  const inner = [...Object.values(node.properties ?? {}), ...(node.anyOf ?? []), node.items]
  return node.writeOnly === true || inner.some((child) => child !== undefined && holdsSecret(child))
}
