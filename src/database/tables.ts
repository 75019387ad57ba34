import {
  type DataSource,
  EntitySchema,
  type EntitySchemaColumnOptions,
  type ValueTransformer,
} from 'typeorm'
import type { Account, Consent } from '../accounts/account-store.ts'
import type { ArtifactRecord } from '../artifacts/artifact-record.ts'
import { type Authenticated, MAC_LENGTH } from '../artifacts/row-mac.ts'
import type { SerializedEvent, SerializedKey } from '../ring/key-store.ts'
import { jsonOf } from '../values/json-of.ts'
import { ISSUER_MAX } from '../values/uri.ts'
import { isText, textCollation, textType } from './migrations/portable.ts'

/**
 * Schemas of the tables for TypeORM. The migrations create the tables; a test compares both.
 * `schemasFor` has the differences between engines.
 */

/** Converts 64-bit columns, which some drivers return as text. */
const integer: ValueTransformer = { to: (value: number) => value, from: Number }

/** Text that is no JSON stays text, so that its row fails its check like every row of others. */
const json: ValueTransformer = {
  to: (value: unknown) => JSON.stringify(value),
  from: (text: string) => jsonOf(text) ?? text,
}

/** A row with its issuer; '' for the secret of the deployment, which belongs to no issuer. */
export type Owned<T> = T & { readonly issuer: string }

const issuer = { type: 'varchar', length: ISSUER_MAX, primary: true } as const

/** The row as its issuer sees it. */
export function withoutIssuer<T>({ issuer: _, ...row }: Owned<T>): T {
  // Removing `issuer` leaves a T, which the compiler does not infer.
  return row as unknown as T
}

export const keySchema = new EntitySchema<Owned<SerializedKey>>({
  name: 'ring_key',
  columns: {
    issuer,
    id: { type: 'varchar', length: 255, primary: true },
    version: { type: 'integer', transformer: integer },
    ring: { type: 'varchar', length: 40 },
    generation: { type: 'integer', transformer: integer },
    algorithm: { type: 'varchar', length: 20 },
    created: { type: 'bigint', transformer: integer },
    activatesAt: { name: 'activates_at', type: 'bigint', transformer: integer },
    retention: { type: 'bigint', transformer: integer },
    isX509Certificate: { name: 'is_x509_certificate', type: 'boolean' },
    data: { type: 'text' },
    dataProtected: { name: 'data_protected', type: 'boolean' },
  },
  // This constraint is the only coordination between nodes: one key per place in a ring.
  uniques: [{ name: 'ring_key_generation', columns: ['issuer', 'ring', 'generation'] }],
})

export const keyEventSchema = new EntitySchema<Owned<SerializedEvent>>({
  name: 'key_event',
  columns: {
    issuer,
    id: { type: 'varchar', length: 160, primary: true },
    ring: { type: 'varchar', length: 40 },
    type: { type: 'varchar', length: 20 },
    at: { name: 'recorded_at', type: 'bigint', transformer: integer },
    data: { name: 'body', type: 'text' },
  },
})

/** A registered client; `metadata` is the JSON text of RFC 7591, section 2. */
export interface ClientRow {
  readonly id: string
  readonly metadata: string
  /** `id_token_signed_response_alg`, so that rings can be checked without reading every client. */
  readonly idTokenAlgorithm: string
  /** Origin: the configuration file or an operator. */
  readonly source: 'config' | 'operator'
  readonly updatedAt: number
  /** MAC of all other fields (`row-mac.ts`). */
  readonly mac: string
}

export const clientSchema = new EntitySchema<Owned<ClientRow>>({
  name: 'client',
  columns: {
    issuer,
    id: { type: 'varchar', length: 255, primary: true },
    metadata: { type: 'text' },
    idTokenAlgorithm: { name: 'id_token_algorithm', type: 'varchar', length: 20 },
    source: { type: 'varchar', length: 10 },
    updatedAt: { name: 'updated_at', type: 'bigint', transformer: integer },
    mac: { type: 'varchar', length: MAC_LENGTH },
  },
  indices: [{ name: 'client_id_token_algorithm', columns: ['issuer', 'idTokenAlgorithm'] }],
})

/**
 * An account as columns. The columns of the claims `name`, `email` and `email_verified` are from
 * the first version and are still filled, so that its nodes find these claims; `claims` has the
 * others.
 */
export interface AccountRow extends Omit<Account, 'claims'> {
  readonly name: string | null
  readonly email: string | null
  /** False also if it is unknown. */
  readonly emailVerified: boolean
  /** Other claims in JSON; null if there are none. */
  readonly claims: string | null
  /**
   * Keys by which the account is found and compared with others (`skeleton.ts`). They follow from
   * the user name, so they are checked again instead of being authenticated. Null in rows of an
   * earlier version; `skeletonKey` also if an older account has the same.
   */
  readonly nameKey: string | null
  readonly skeletonKey: string | null
}

export const accountSchema = new EntitySchema<Owned<Authenticated<AccountRow>>>({
  name: 'account',
  columns: {
    issuer,
    id: { type: 'varchar', length: 64, primary: true },
    username: { type: 'varchar', length: 255 },
    passwordHash: { name: 'password_hash', type: 'varchar', length: 255 },
    name: { type: 'varchar', length: 255, nullable: true },
    email: { type: 'varchar', length: 320, nullable: true },
    emailVerified: { name: 'email_verified', type: 'boolean' },
    isAdministrator: { name: 'is_administrator', type: 'boolean' },
    isDisabled: { name: 'is_disabled', type: 'boolean' },
    mustChangePassword: { name: 'must_change_password', type: 'boolean' },
    createdAt: { name: 'created_at', type: 'bigint', transformer: integer },
    updatedAt: { name: 'updated_at', type: 'bigint', transformer: integer },
    mac: { type: 'varchar', length: MAC_LENGTH },
    claims: { type: 'text', nullable: true },
    nameKey: { name: 'name_key', type: 'varchar', length: 43, nullable: true },
    skeletonKey: { name: 'skeleton_key', type: 'varchar', length: 43, nullable: true },
  },
  indices: [
    { name: 'account_name_key', columns: ['issuer', 'nameKey'] },
    { name: 'account_skeleton_key', columns: ['issuer', 'skeletonKey'], unique: true },
  ],
  uniques: [{ name: 'account_username', columns: ['issuer', 'username'] }],
})

export const consentSchema = new EntitySchema<Owned<Authenticated<Consent>>>({
  name: 'consent',
  columns: {
    issuer,
    accountId: { name: 'account_id', type: 'varchar', length: 64, primary: true },
    clientId: { name: 'client_id', type: 'varchar', length: 255, primary: true },
    oidcScopes: { name: 'oidc_scopes', type: 'text', transformer: json },
    oidcClaims: { name: 'oidc_claims', type: 'text', transformer: json },
    resourceScopes: { name: 'resource_scopes', type: 'text', transformer: json },
    updatedAt: { name: 'updated_at', type: 'bigint', transformer: integer },
    mac: { type: 'varchar', length: MAC_LENGTH },
  },
})

/**
 * Artifacts: sessions, codes, tokens, grants, interactions. Read and written with hand-written SQL
 * (`sqlite-artifacts.ts`, `sql-artifacts.ts`), because every request uses them.
 */
const artifactSchema = new EntitySchema<ArtifactRecord>({
  name: 'artifact',
  columns: {
    model: { type: 'varchar', length: 40, primary: true },
    id: { type: 'varchar', length: 64, primary: true },
    payload: { type: 'text' },
    grantId: { name: 'grant_id', type: 'varchar', length: 64, nullable: true },
    uid: { type: 'varchar', length: 64, nullable: true },
    userCode: { name: 'user_code', type: 'varchar', length: 64, nullable: true },
    accountId: { name: 'account_id', type: 'varchar', length: 64, nullable: true },
    clientId: { name: 'client_id', type: 'varchar', length: 255, nullable: true },
    consumedAt: { name: 'consumed_at', type: 'bigint', nullable: true, transformer: integer },
    expiresAt: { name: 'expires_at', type: 'bigint', nullable: true, transformer: integer },
  },
  // Partial indices, because each index entry costs a write and only few records need these.
  indices: [
    { name: 'artifact_grant', columns: ['grantId'], where: 'grant_id IS NOT NULL' },
    { name: 'artifact_uid', columns: ['uid'], where: 'uid IS NOT NULL' },
    { name: 'artifact_user_code', columns: ['userCode'], where: 'user_code IS NOT NULL' },
    { name: 'artifact_expiry', columns: ['expiresAt'] },
  ],
})

/** A record of an order about an account or a client (`audit/record.ts`). */
export interface AuditRow {
  readonly number: number
  readonly at: number
  readonly actor: string
  readonly reason: string
  readonly action: string
  readonly subjectId: string
  /** User name of an account; null for a client. */
  readonly subjectName: string | null
  /** Names of changed properties or claims in JSON, read only if the row passes its check. */
  readonly changed: string
}

export const auditSchema = new EntitySchema<Owned<Authenticated<AuditRow>>>({
  name: 'audit_record',
  columns: {
    issuer,
    number: { type: 'integer', primary: true, transformer: integer },
    at: { name: 'recorded_at', type: 'bigint', transformer: integer },
    actor: { type: 'text' },
    reason: { type: 'text' },
    action: { type: 'varchar', length: 40 },
    subjectId: { name: 'subject_id', type: 'varchar', length: 255 },
    subjectName: { name: 'subject_name', type: 'varchar', length: 255, nullable: true },
    changed: { type: 'text' },
    mac: { type: 'varchar', length: MAC_LENGTH },
  },
})

/** A node's last report; `body` has the whole report. */
export interface NodeRow {
  readonly id: string
  readonly seenAt: number
  readonly body: string
}

export const nodeSchema = new EntitySchema<NodeRow>({
  name: 'node',
  columns: {
    id: { type: 'varchar', length: 160, primary: true },
    seenAt: { name: 'seen_at', type: 'bigint', transformer: integer },
    body: { type: 'text' },
  },
})

const SCHEMAS = [
  keySchema,
  keyEventSchema,
  clientSchema,
  accountSchema,
  consentSchema,
  auditSchema,
  artifactSchema,
  nodeSchema,
]

/**
 * Lengths with which SQLite's tables were made, because SQLite ignores lengths and its columns were
 * never widened.
 */
const MADE_WITH: Readonly<Record<string, { readonly length: number }>> = {
  'ring_key.id': { length: 64 },
}

/**
 * The schemas for a type of database. The schemas above are names for repositories.
 * @param type of TypeORM
 */
export function schemasFor(type: DataSource['options']['type']): readonly EntitySchema[] {
  const collation = textCollation(type)
  return SCHEMAS.map(({ options }) => {
    const columns = Object.entries<EntitySchemaColumnOptions | undefined>(options.columns)
    return new EntitySchema<unknown>({
      ...options,
      columns: Object.fromEntries(
        columns.map(([name, column]) => {
          // The names and columns of a schema are complete.
          const { type: of, ...more } = column as EntitySchemaColumnOptions
          const isTextual = isText(of) && collation
          return [
            name,
            {
              ...more,
              type: textType(type, of as string),
              ...(isTextual && { collation }),
              ...(type === 'better-sqlite3' && MADE_WITH[`${options.name}.${name}`]),
            },
          ]
        }),
      ),
    } as never)
  })
}
