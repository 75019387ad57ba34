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
import { ISSUER_MAX } from '../values/uri.ts'
import { isText, textCollation, textType } from './migrations/portable.ts'

/**
 * The tables, as TypeORM sees them. What really creates them are the migrations; a test holds the
 * two together. `schemasFor` says how each engine differs.
 */

/** 64-bit columns, as every integer of CockroachDB, come back as text from some drivers. */
const integer: ValueTransformer = { to: (value: number) => value, from: Number }

const json: ValueTransformer = {
  to: (value: unknown) => JSON.stringify(value),
  from: (text: string) => JSON.parse(text),
}

/** A row that belongs to one issuer; '' for the secret of the deployment, which belongs to none. */
export type Owned<T> = T & { readonly issuer: string }

const issuer = { type: 'varchar', length: ISSUER_MAX, primary: true } as const

/** The row as its issuer sees it. */
export function withoutIssuer<T>({ issuer: _, ...row }: Owned<T>): T {
  // What is left of an intersection is its other part, which the compiler does not see.
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
  // The only coordination between nodes: one key per place in a ring.
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
  /** Written by the configuration file or by an operator. */
  readonly source: 'config' | 'operator'
  readonly updatedAt: number
  /** Of all other fields (`row-mac.ts`). */
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
 * An account as its columns have it. Those of the claims `name`, `email` and `email_verified` are from
 * the first version: they keep what they can, so that its nodes go on finding people whose claims it
 * knows, and `claims` keeps the others.
 */
export interface AccountRow extends Omit<Account, 'claims'> {
  readonly name: string | null
  readonly email: string | null
  /** false also where nobody knows. */
  readonly emailVerified: boolean
  /** Other claims in JSON; null where there are none. */
  readonly claims: string | null
  /**
   * How the account is found and told from others (`skeleton.ts`). They follow from the user name, so they
   * are not authenticated but looked at again. Null in rows that a version before wrote, and
   * `skeletonKey` also where an older account has the same.
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
 * What oidc-provider stores and what expires: sessions, codes, tokens, grants, interactions. Read
 * and written with SQL of its own (`sqlite-artifacts.ts`, `sql-artifacts.ts`), as it is on the path of
 * every request.
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
  // Each index costs every token a write, so those few records use hold only those.
  withoutRowid: true,
  indices: [
    { name: 'artifact_grant', columns: ['grantId'], where: 'grant_id IS NOT NULL' },
    { name: 'artifact_uid', columns: ['uid'], where: 'uid IS NOT NULL' },
    { name: 'artifact_user_code', columns: ['userCode'], where: 'user_code IS NOT NULL' },
    { name: 'artifact_expiry', columns: ['expiresAt'] },
  ],
})

/** A node, as it last told; `body` is the whole report. */
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
  artifactSchema,
  nodeSchema,
]

/** SQLite heeds no lengths, so a column that was widened elsewhere is there as its table was made. */
const MADE_WITH: Readonly<Record<string, { readonly length: number }>> = {
  'ring_key.id': { length: 64 },
}

/**
 * The schemas as a database of this type has them. Those above name them to a repository.
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
          // They are the names and columns of one schema; none of them is missing.
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
