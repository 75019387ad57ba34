/**
 * Leaves a key or two of all that a file has, so that changes meet what is read, and most of the
 * time is not spent on keys that nobody changed.
 */
export function shortened(bytes: Buffer, file: string): Buffer {
  const text = bytes.toString('utf8')
  if (/\.(csv|tsv)$/.test(file)) return Buffer.from(firstRows(text, file))
  if (file.endsWith('.sql')) return Buffer.from(firstStatements(text))
  if (!file.endsWith('.json')) return bytes
  const value = shortJson(JSON.parse(text.replace(/^\ufeff/, '')))
  return value === undefined ? bytes : Buffer.from(JSON.stringify(value))
}

/** Providers of a realm of Keycloak, one of each kind. */
const PROVIDERS = /^(rsa-2|ec-521|ed-1|keystore-ec|mac)$/
const PROVIDER_ROW = /,(rsa-2|ec-521|ed-1|keystore-ec|mac),/
const KEY_PROVIDER = 'org.keycloak.keys.KeyProvider'

function firstRows(text: string, file: string): string {
  const [header = '', ...rows] = text.split('\n')
  const kept = file.startsWith('component')
    ? rows.filter((row) => PROVIDER_ROW.test(row))
    : rows.slice(0, 1)
  return [header, ...kept, ''].join('\n')
}

/** The first two rows of each kind: of COPY, and of INSERT. */
function firstStatements(text: string): string {
  const seen = { row: 0, insert: 0 }
  let isCopy = false
  const kept = text.split('\n').filter((line) => {
    if (/^COPY /.test(line)) isCopy = true
    else if (line.startsWith('\\.')) isCopy = false
    else if (isCopy) return ++seen.row <= 2
    else if (/^INSERT /.test(line)) return ++seen.insert <= 2
    return true
  })
  return kept.join('\n')
}

/** Undefined for what is short as it is. */
function shortJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 2)
  // Looked at member by member.
  const { keys, components, ...rest } = value as {
    keys?: unknown
    components?: Record<string, unknown>
  }
  if (Array.isArray(keys)) return { ...rest, keys: [keys[0], ...keys.slice(-1)] }
  const providers = components?.[KEY_PROVIDER]
  if (!Array.isArray(providers)) return undefined
  const { id, realm } = rest as { id?: unknown; realm?: unknown }
  const kept = providers.filter(({ name }: { name: string }) => PROVIDERS.test(name))
  return { id, realm, components: { [KEY_PROVIDER]: kept } }
}
