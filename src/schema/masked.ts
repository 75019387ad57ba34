import { childNode, isMap, type SettingNode } from './tree.ts'

/**
 * Masks values for people: a secret is never shown, nor a value that may be a secret under a
 * misspelt name.
 */

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
  // A text in the place of a URL may be the password alone.
  const isUrl = [node, ...(node.anyOf ?? [])].some(({ format }) => format === 'uri')
  if (isUrl && !/^sqlite:|:\/\//.test(value)) return MASK
  const shown = value
    .replace(URL_PASSWORD, `$1${MASK}@`)
    .replace(QUERY_SECRET, `$1${MASK}`)
    .replace(QUERY_TEXT, `$1${MASK}`)
  return isUrl ? maskedServer(shown) : shown
}

/**
 * The URL of a server without what may be a password in the wrong place: all behind the first colon
 * if no @ ends the password and no port follows alone, and parameters of other drivers.
 */
function maskedServer(url: string): string {
  const shown = url.replace(SERVER_SECRET, `$1${MASK}`)
  if (/:\/\/.*@/s.test(shown)) return shown.replace(SERVER_PASSWORD, `$1${MASK}@`)
  return SERVER.test(shown) ? shown : shown.replace(/(:\/\/+[^/?#:]*:).*$/s, `$1${MASK}`)
}

/** A host, perhaps with a port. */
const SERVER = /:\/\/+(?:\[[\da-f:.]*\]|[^/?#:]+)(?::\d{1,5})?(?:[/?#]|$)/i
/** Like URL_PASSWORD, also behind a blank or a slash in the name of the user. */
const SERVER_PASSWORD = /(:\/\/[^:@]*:).*@/s
/** Also `,password=` and `?auth=`; a parameter such as `sslkey` names a file. */
const SERVER_SECRET =
  /([?&,;][^=&#,;]*(?:pass|p\w{0,3}w|secret|token|auth|cred|(?<!ssl[-_]?)key)[^=&#,;]*=)[^&#]*/gi

/**
 * True for a name that may hold a secret, because client metadata may have names that the schema
 * lacks.
 */
function isSecretMetadata({ properties }: SettingNode, name: string): boolean {
  const isNamed = properties !== undefined && Object.hasOwn(properties, name)
  return !isNamed && /secret|passw|private|(access|refresh)_token$/i.test(name)
}

/**
 * The password of a URL such as postgres://keyturn:PASSWORD@db.example/keyturn, up to the last @,
 * because a password may contain characters that a URL does not allow.
 */
const URL_PASSWORD = /(:\/\/[^/?#\s:@]*:).*@/s

/** `?password=`, `?sslpassword=`, the misspelt `?pasword=` and other names with such a word. */
const QUERY_SECRET = /([?&][^=&#]*(?:pass|p\w{0,3}w|secret|token)[^=&#]*=)[^&#]*/gi
/** A parameter whose value is a private key, or JSON that may contain one, instead of a file. */
const QUERY_TEXT = /([?&][^=&#]*=)(?:-----BEGIN|%2D%2D|\{|%7B)[^&#]*/gi

/** True if the node has secrets. A scalar in the place of such a section may be one of them. */
function holdsSecret(node: SettingNode): boolean {
  const inner = [...Object.values(node.properties ?? {}), ...(node.anyOf ?? []), node.items]
  return node.writeOnly === true || inner.some((child) => child !== undefined && holdsSecret(child))
}
