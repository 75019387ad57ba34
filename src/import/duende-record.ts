import { z } from 'zod'
import { ImportRefused, KeyturnError } from '../errors.ts'
import { readXsdDate, type Ticks } from '../values/ticks.ts'
import { decodeText, parseJson } from './input.ts'
import { createPasswordWork, createSourceWork, type PasswordWork } from './password-encryption.ts'
import { type KeystoreKey, readPkcs12 } from './pkcs12.ts'
import { refusal } from './refusal.ts'
import type { Row } from './row.ts'

/** Records of Duende IdentityServer's key store, in the file of one key or the row of a table. */

/** Opens a Data-Protected text: a protector for the purpose `DataProtectionKeyProtector`. */
export type Unprotect = (payload: Uint8Array) => Uint8Array | Promise<Uint8Array>

/** A record as the store has it. */
export interface DuendeRecord {
  /** Kid, which is only believed of a key that cannot be opened. */
  readonly id: string
  /** Instant at which the record was protected; it determines when the key leaves the JWKS. */
  readonly storedAt: Ticks
  readonly algorithm: string
  readonly isX509: boolean
  readonly isProtected: boolean
  readonly data: string
  readonly source: string
}

/** A record that was opened. Its inner name and dates count, not those of the record around it. */
export interface DuendeKey {
  readonly kid: string
  readonly algorithm: string
  /** Instant at which the key was made; it determines when the key signs. */
  readonly createdAt: Ticks
  readonly storedAt: Ticks
  /** Members as in a JWK, not yet checked. */
  readonly members: Readonly<Record<string, unknown>>
  /** PKCS#12 store of a key with an X.509 certificate. */
  readonly pkcs12?: Uint8Array
  readonly certificates: KeystoreKey['certificates']
  readonly source: string
}

/**
 * Boolean: .NET writes booleans as JSON, SQLite as 0 and 1, PostgreSQL as t and f, Excel in capital
 * letters, a bit of MySQL as a byte.
 */
const TRUE = ['1', 't', 'true', '\x01']
const FALSE = ['0', 'f', 'false', '\0']
const Flag = z
  .union([z.boolean(), z.number(), z.string().max(5)])
  .transform((value) => String(value).toLowerCase())
  .refine((value) => [...TRUE, ...FALSE].includes(value))
  .transform((value) => TRUE.includes(value))
const Text = z.string().max(200_000)
const Instant = z.string().max(100)
const Record = z.looseObject({
  Id: Text,
  Created: Instant,
  Algorithm: Text,
  IsX509Certificate: Flag,
  DataProtected: Flag,
  Data: Text,
})
const Inner = z.looseObject({ Id: Text, Algorithm: Text, Created: Instant })
const Bytes = z.string().max(8192)
const Rsa = z.looseObject({
  Parameters: z.looseObject({ Modulus: Bytes, Exponent: Bytes, D: Bytes }),
})
const Ec = z.looseObject({ D: Bytes, Q: z.looseObject({ X: Bytes, Y: Bytes }) })
const X509 = z.looseObject({ CertificateRawData: Text })
/** Curves by algorithm, because the record does not name the curve. */
const CURVES: Readonly<Partial<{ [algorithm: string]: string }>> = {
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
}
const RSA_MEMBERS = {
  n: 'Modulus',
  e: 'Exponent',
  d: 'D',
  p: 'P',
  q: 'Q',
  dp: 'DP',
  dq: 'DQ',
  qi: 'InverseQ',
} as const
const ALGORITHM = /^(?:RS|PS|ES)(?:256|384|512)$/

/** Reads the file of one key. @throws ImportRefused */
export function recordOfFile(bytes: Uint8Array, source: string): DuendeRecord {
  if (bytes.length === 0) throw refusal('input_empty', `${source} is empty.`)
  return recordOf(parseJson(decodeText(bytes, source), source), source)
}

/** Reads a row of the table `Keys`. @throws ImportRefused */
export function recordOfRow(row: Row, source: string): DuendeRecord {
  return recordOf(row, source)
}

/**
 * Reads a row of the table `entities` of version 8. Its column `value` is the record, with its
 * instant as a number of ticks that JSON would round.
 * @throws ImportRefused
 */
export function recordOfEntity(text: string, source: string): DuendeRecord {
  const value = parseJson(text, source)
  const ticks = /"CreatedUtcTicks"\s*:\s*(\d{1,19})\b/.exec(text)?.[1]
  if (typeof value !== 'object' || value === null || ticks === undefined) {
    throw malformed(source, 'CreatedUtcTicks')
  }
  return {
    ...recordOf({ ...value, Created: '0001-01-01T00:00:00Z' }, source),
    storedAt: BigInt(ticks),
  }
}

/**
 * Opens a record.
 * @param options.unprotect undefined if no key ring is given; `work` may be shared by all records
 * @throws ImportRefused
 */
export async function openRecord(
  record: DuendeRecord,
  {
    unprotect,
    work = createSourceWork(),
  }: { readonly unprotect?: Unprotect | undefined; readonly work?: PasswordWork } = {},
): Promise<DuendeKey> {
  const { source } = record
  const text = record.isProtected ? await unprotected(record, unprotect) : record.data
  const value = parseJson(text, `The key in ${source}`)
  const inner = parsed(Inner, value, source)
  if (!ALGORITHM.test(inner.Algorithm) || !ALGORITHM.test(record.algorithm)) {
    throw refusal(
      'algorithm_unsupported',
      `${source} has an algorithm that IdentityServer does not know.`,
    )
  }
  const key = {
    kid: inner.Id,
    algorithm: inner.Algorithm,
    createdAt: instant(inner.Created, source),
    storedAt: record.storedAt,
    source,
  }
  if (record.isX509) {
    return { ...key, ...wrapped(parsed(X509, value, source).CertificateRawData, work) }
  }
  if (record.algorithm.startsWith('E')) {
    const { D, Q } = parsed(Ec, value, source)
    const crv = CURVES[inner.Algorithm]
    return { ...key, certificates: [], members: { kty: 'EC', crv, d: D, x: Q.X, y: Q.Y } }
  }
  const { Parameters } = parsed(Rsa, value, source)
  const members = Object.entries(RSA_MEMBERS).flatMap(([name, member]) => {
    const number = Parameters[member] ?? undefined
    return number === undefined ? [] : [[name, number]]
  })
  return { ...key, certificates: [], members: { kty: 'RSA', ...Object.fromEntries(members) } }
}

function recordOf(value: unknown, source: string): DuendeRecord {
  const record = parsed(Record, value, source)
  return {
    id: record.Id,
    storedAt: instant(record.Created, source),
    algorithm: record.Algorithm,
    isX509: record.IsX509Certificate,
    isProtected: record.DataProtected,
    data: record.Data,
    source,
  }
}

async function unprotected(
  { data, source }: DuendeRecord,
  unprotect: Unprotect | undefined,
): Promise<string> {
  if (!/^CfDJ8[\w-]+$/.test(data)) {
    throw refusal(
      'unprotect_failed',
      `${source} says that it is Data-Protected, and its text is not.`,
    )
  }
  if (!unprotect) {
    throw refusal(
      'unprotect_missing',
      `${source} is Data-Protected, and no key ring is given. Give it and the name of the application.`,
    )
  }
  try {
    return decodeText(await unprotect(Buffer.from(data, 'base64url')), source)
  } catch (error) {
    if (error instanceof ImportRefused) throw error
    if (error instanceof KeyturnError && error.code === 'payload_key_revoked') {
      throw refusal(
        'unprotect_failed',
        `${source} is protected by a key that the key ring has revoked, so IdentityServer does not open it either.`,
        { isHarmless: true },
      )
    }
    throw refusal(
      'unprotect_failed',
      `${source} does not open with the key ring that is given: ${detail(error)} Check the ring's directory ` +
        'and the application name, whose letter case counts.',
    )
  }
}

/** Message of an error of the key ring, which holds no secret; other messages are not repeated. */
function detail(error: unknown): string {
  return error instanceof KeyturnError ? error.message : 'it was protected by another one.'
}

/** Reads a key with an X.509 certificate: PKCS#12 without any password. */
function wrapped(
  base64: string,
  work: PasswordWork,
): Pick<DuendeKey, 'members' | 'pkcs12' | 'certificates'> {
  const pkcs12 = Buffer.from(base64, 'base64')
  const { keys, certificates } = readPkcs12(pkcs12, { work: createPasswordWork(work) })
  const [key, ...others] = keys
  if (!key || others.length > 0) {
    throw refusal('key_malformed', 'The PKCS#12 of a wrapped key must hold exactly one key.')
  }
  return { members: key.members, pkcs12, certificates }
}

/** Reads an instant. SQL Server and SQLite keep no time zone, so a missing one is UTC. */
function instant(text: string, source: string): Ticks {
  const whole = text
    .trim()
    .replace(/^(\d{4}-\d\d-\d\d) /, '$1T')
    .replace(/([+-]\d\d)$/, '$1:00')
  const zoned = /T.*(Z|[+-]\d\d:\d\d)$/i.test(whole) ? whole : `${whole}Z`
  const read = readXsdDate(zoned)
  if ('problem' in read) {
    throw refusal(
      'date_malformed',
      `${source} has a member Created that is no instant: ${read.problem}.`,
    )
  }
  return read.ticks
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, source: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw malformed(source, result.error.issues[0]?.path.map(String).join('.') || undefined)
}

function malformed(source: string, member: string | undefined) {
  return refusal(
    'input_malformed',
    member
      ? `${source} lacks the member ${member}, or has it in another form. Letter case counts.`
      : `${source} is no record of a key.`,
  )
}
