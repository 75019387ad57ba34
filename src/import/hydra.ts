import { createDecipheriv, hash } from 'node:crypto'
import { ImportRefused } from '../errors.ts'
import { readRfc3339 } from '../values/rfc3339.ts'
import {
  assertSomething,
  type Imported,
  type ImportedKey,
  type LeftOut,
  leftOut,
  withoutTwins,
} from './imported-key.ts'
import { assertSize, decodeText, INPUT_BYTES_MAX, parseJson } from './input.ts'
import { readJwk } from './jwk.ts'
import { readJwks } from './jwk-set.ts'
import { orRefusal, refusal } from './refusal.ts'
import type { Row, Table } from './row.ts'
import { cellText, tableRows } from './table.ts'

/** Keys of Ory Hydra: answers of its admin API, and sealed rows of its table. */

/** Sets whose keys are in the JWKS of the issuer. */
const PUBLISHED = ['hydra.openid.id-token', 'hydra.jwt.access-token']
const TABLE: Table = { name: 'hydra_jwk', columns: ['sid', 'kid', 'created_at', 'keydata'] }
/** Bytes of AES-GCM around the sealed text: nonce before, tag behind. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Reads the answer of `GET /admin/keys/SET` or `hydra get jwks SET`. The newest key comes first and
 * signs.
 * @param set needed if the file does not name the set; keys of an unpublished set are `disabled`
 * @throws ImportRefused if no key can be taken in
 */
export async function readHydraSet(
  bytes: Uint8Array,
  { name, set }: { readonly name: string; readonly set?: string | undefined },
): Promise<Imported> {
  assertSize(bytes, INPUT_BYTES_MAX, name)
  const value = parseJson(decodeText(bytes, name), name)
  const own = (value as { set?: unknown } | null)?.set
  const of = set ?? (typeof own === 'string' ? own : PUBLISHED.find((one) => name.includes(one)))
  const { keys, left } = await readJwks(value, { source: name })
  return {
    keys: withoutHalves(keys.map((key, at) => inSet(key, { set: of, isNewest: at === 0 }))),
    left: left.map((one) => ({ ...one, isHarmless: one.isHarmless || isUnpublished(of) })),
  }
}

export interface HydraTableOptions {
  readonly name: string
  /**
   * `secrets.system`, newest first. A row stays sealed under the secret that it was written with.
   */
  readonly secrets: readonly string[]
  /** The tenant (`nid`), needed if the table has several. */
  readonly network?: string | undefined
}

/**
 * Reads rows of the table `hydra_jwk` from CSV, a dump, JSON or a SQLite file.
 * @throws ImportRefused if no key can be taken in; `password_wrong` if no row opens
 */
export async function readHydraTable(
  bytes: Uint8Array,
  { name, secrets, network }: HydraTableOptions,
): Promise<Imported> {
  if (secrets.length === 0) {
    throw refusal(
      'system_secrets_missing',
      'The keys are sealed under secrets.system of Hydra, and none is given. Give them.',
    )
  }
  const rows = ofNetwork(tableRows(bytes, TABLE, name), network, name)
  const ciphers = secrets.map((secret) => hash('sha256', secret, 'buffer'))
  const newest = new Map<string, string>()
  for (const row of rows) {
    const [set, at] = [text(row.sid), text(row.created_at)]
    if (at >= (newest.get(set) ?? '')) newest.set(set, at)
  }
  const left: LeftOut[] = []
  const keys: ImportedKey[] = []
  for (const row of rows) {
    const entry = `${text(row.sid)}/${text(row.kid)}`.slice(0, 600)
    const read = await orRefusal(() => keyOfRow(row, { source: `${name}#${entry}`, ciphers }))
    if (read instanceof ImportRefused) {
      const known = { kid: text(row.kid), isHarmless: isUnpublished(text(row.sid)) }
      left.push(leftOut(entry, read, known))
    } else {
      const isNewest = text(row.created_at) === newest.get(text(row.sid))
      keys.push(inSet(read, { set: text(row.sid), isNewest }))
    }
  }
  const single = withoutTwins(withoutHalves(keys))
  const imported = { keys: single.keys, left: [...left, ...single.left] }
  assertSomething(imported, name)
  return imported
}

/** True if the set is known, and Hydra publishes it nowhere. */
export function isUnpublished(set: string | undefined): boolean {
  return set !== undefined && !PUBLISHED.includes(set)
}

/**
 * Joins the two entries that Hydra 1 keeps of each key, `private:NAME` and `public:NAME`. Relying
 * parties know the key by the kid of the public one.
 */
function withoutHalves(keys: readonly ImportedKey[]): readonly ImportedKey[] {
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  const otherOf = ({ kid, thumbprint }: ImportedKey, [own, other]: readonly [string, string]) => {
    const found = kid.startsWith(own) ? byKid.get(other + kid.slice(own.length)) : undefined
    return found?.thumbprint === thumbprint ? found : undefined
  }
  return keys.flatMap((key) => {
    if (otherOf(key, ['private:', 'public:'])) return []
    const whole = otherOf(key, ['public:', 'private:'])
    if (!whole) return [key]
    const phaseHint = whole.phaseHint === 'active' ? 'active' : key.phaseHint
    return [{ ...key, jwk: whole.jwk, private: whole.private, ...(phaseHint && { phaseHint }) }]
  })
}

function inSet(
  key: ImportedKey,
  { set, isNewest }: { readonly set: string | undefined; readonly isNewest: boolean },
): ImportedKey {
  if (isUnpublished(set)) return { ...key, phaseHint: 'disabled' }
  return { ...key, phaseHint: isNewest ? 'active' : 'old' }
}

async function keyOfRow(
  row: Row,
  { source, ciphers }: { readonly source: string; readonly ciphers: readonly Buffer[] },
): Promise<ImportedKey> {
  const sealed = Buffer.from(text(row.keydata), 'base64url')
  for (const cipher of ciphers) {
    const clear = unsealed(sealed, cipher)
    if (!clear) continue
    const key = await readJwk(parseJson(decodeText(clear, source), source), { source })
    const created = instant(text(row.created_at))
    return { ...key, ...(created !== undefined && { createdAt: created }) }
  }
  throw refusal(
    'password_wrong',
    `${source} opens with none of the secrets. Rows are not sealed anew when secrets.system is rotated, so older ` +
      'secrets are needed too.',
  )
}

function unsealed(sealed: Buffer, key: Buffer): Buffer | undefined {
  if (sealed.length <= NONCE_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    const clear = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES))
    return Buffer.concat([clear, decipher.final()])
  } catch {
    return undefined
  }
}

function ofNetwork(
  rows: readonly Row[],
  network: string | undefined,
  name: string,
): readonly Row[] {
  const networks = [...new Set(rows.map(({ nid }) => text(nid)))]
  if (network === undefined && networks.length > 1) {
    throw refusal(
      'alias_unknown',
      `${name} has keys of ${networks.length} tenants (nid): ${networks
        .slice(0, 5)
        .map((nid) => nid.slice(0, 100))
        .join(', ')}. Dump those of one.`,
    )
  }
  return network === undefined ? rows : rows.filter(({ nid }) => text(nid) === network)
}

function text(cell: unknown): string {
  return cellText(cell) ?? ''
}

/** Reads an instant in UTC, which is written without a zone. */
function instant(value: string): number | undefined {
  const read = readRfc3339(value.replace(' ', 'T').replace(/(?:Z|[+-]00(?::?00)?)?$/, 'Z'))
  return 'at' in read ? read.at : undefined
}
