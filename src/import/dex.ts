import { z } from 'zod'
import { ImportRefused } from '../errors.ts'
import { NEVER } from '../ring/key.ts'
import { readRfc3339 } from '../values/rfc3339.ts'
import {
  assertSomething,
  type Imported,
  type ImportedKey,
  type LeftOut,
  leftOut,
  withoutTwins,
} from './imported-key.ts'
import { parseJson } from './input.ts'
import { jwkName, kidOf, readJwk } from './jwk.ts'
import { orRefusal, refusal } from './refusal.ts'
import type { Table } from './row.ts'
import { cellText, tableRows } from './table.ts'

const TABLE: Table = {
  name: 'keys',
  columns: ['id', 'verification_keys', 'signing_key', 'signing_key_pub', 'next_rotation'],
  optional: ['id', 'verification_keys', 'signing_key_pub', 'next_rotation'],
}
const Retired = z.looseObject({ publicKey: z.unknown(), expiry: z.string() })

/**
 * Reads the row in which Dex keeps its keys, from a SQLite file, a dump, CSV or JSON, or its
 * resource in Kubernetes as JSON. Only the signing key has a private half; the others come in
 * for validation, until the end that Dex gave them.
 * @param options.now seconds since the epoch; a key that ended before is missed by nobody
 * @throws ImportRefused if no key can be taken in
 */
export async function readDex(
  bytes: Uint8Array,
  { name, now = -Infinity }: { readonly name: string; readonly now?: number },
): Promise<Imported> {
  // `kubectl get -o yaml` begins with either.
  if (/^(?:\ufeff)?(?:apiVersion|items):/.test(Buffer.from(bytes.subarray(0, 100)).toString())) {
    throw refusal(
      'format_unsupported',
      `${name} is YAML. Write the resource as JSON: kubectl get signingkeies.dex.coreos.com -o json`,
    )
  }
  const rows = tableRows(bytes, TABLE, name)
  const row = rows.find(({ signing_key }) => signing_key !== undefined && signing_key !== null)
  if (!row) throw refusal('no_keys', `${name} has no row with a signing key.`)
  const keys: ImportedKey[] = []
  const left: LeftOut[] = []
  const add = async (jwk: unknown, entry: string, extra: Partial<ImportedKey>) => {
    const read = await orRefusal(() => readJwk(jwk, { source: `${name}#${entry}`, ...extra }))
    if (read instanceof ImportRefused) {
      const isHarmless = (extra.expiresAt ?? Infinity) <= now
      left.push(leftOut(entry, read, { kid: kidOf(jwk), isHarmless }))
    } else keys.push({ ...read, ...extra })
  }
  const signing = json(row.signing_key, `${name}#signing_key`)
  await add(signing, jwkName(signing, 0), { phaseHint: 'active' })
  const retired = json(row.verification_keys ?? '[]', `${name}#verification_keys`) ?? []
  for (const [at, value] of z
    .array(z.unknown())
    .catch([])
    .parse(retired)
    .slice(0, 1000)
    .entries()) {
    const parsed = Retired.safeParse(value)
    const entry = jwkName(parsed.data?.publicKey, at + 1)
    const expiresAt = parsed.success ? endOf(parsed.data.expiry) : undefined
    if (!parsed.success || expiresAt === undefined) {
      const refused = refusal(
        'date_malformed',
        `${name}#${entry} has no end (expiry) that can be read.`,
      )
      left.push(leftOut(entry, refused))
    } else await add(parsed.data.publicKey, entry, { phaseHint: 'old', expiresAt })
  }
  const single = withoutTwins(keys)
  const imported = { keys: single.keys, left: [...left, ...single.left] }
  assertSomething(imported, name)
  return imported
}

function json(cell: unknown, source: string): unknown {
  if (typeof cell === 'object' && cell !== null && !Buffer.isBuffer(cell)) return cell
  return parseJson(cellText(cell) ?? '', source)
}

/**
 * Reads the end of a key, rounded up so that no key leaves earlier than with Dex. The year 9999
 * stands for no end.
 */
function endOf(text: string): number | undefined {
  const read = readRfc3339(text)
  if (!('at' in read)) return undefined
  return Math.min(NEVER, /\.\d*[1-9]/.test(text) ? read.at + 1 : read.at)
}
