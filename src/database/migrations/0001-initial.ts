import type { MigrationInterface, QueryRunner } from 'typeorm'
import { column, createTables, nullable, type PortableTable, primary, varchar } from './portable.ts'

/** Keys and their events, clients, people and consents, and everything that expires. */
export class Initial0001 implements MigrationInterface {
  readonly name = 'Initial1700000000001'

  async up(runner: QueryRunner): Promise<void> {
    await createTables(runner, TABLES)
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}

/** Everything that expires. */
export const ARTIFACTS = {
  name: 'artifact',
  columns: [
    varchar('model', 40, primary),
    varchar('id', 64, primary),
    column('payload', 'text'),
    varchar('grant_id', 64, nullable),
    varchar('uid', 64, nullable),
    varchar('user_code', 64, nullable),
    varchar('account_id', 64, nullable),
    varchar('client_id', 255, nullable),
    column('consumed_at', 'bigint', nullable),
    column('expires_at', 'bigint', nullable),
  ],
  withoutRowid: true,
  indices: [
    { name: 'artifact_grant', columnNames: ['grant_id'], where: 'grant_id IS NOT NULL' },
    { name: 'artifact_uid', columnNames: ['uid'], where: 'uid IS NOT NULL' },
    {
      name: 'artifact_user_code',
      columnNames: ['user_code'],
      where: 'user_code IS NOT NULL',
    },
    { name: 'artifact_expiry', columnNames: ['expires_at'] },
  ],
} satisfies PortableTable

const TABLES: readonly PortableTable[] = [
  {
    name: 'ring_key',
    columns: [
      varchar('id', 64, primary),
      column('version', 'integer'),
      varchar('ring', 40),
      column('generation', 'integer'),
      varchar('algorithm', 20),
      column('created', 'bigint'),
      column('activates_at', 'bigint'),
      column('retention', 'bigint'),
      column('is_x509_certificate', 'boolean'),
      column('data', 'text'),
      column('data_protected', 'boolean'),
    ],
    uniques: [{ name: 'ring_key_generation', columnNames: ['ring', 'generation'] }],
  },
  {
    name: 'key_event',
    columns: [
      varchar('id', 160, primary),
      varchar('ring', 40),
      varchar('type', 20),
      column('recorded_at', 'bigint'),
      column('body', 'text'),
    ],
  },
  {
    name: 'client',
    columns: [
      varchar('id', 255, primary),
      column('metadata', 'text'),
      varchar('id_token_algorithm', 20),
      varchar('source', 10),
      column('updated_at', 'bigint'),
      varchar('mac', 43),
    ],
    indices: [{ name: 'client_id_token_algorithm', columnNames: ['id_token_algorithm'] }],
  },
  {
    name: 'account',
    columns: [
      varchar('id', 64, primary),
      varchar('username', 255),
      varchar('password_hash', 255),
      varchar('name', 255, nullable),
      varchar('email', 320, nullable),
      column('email_verified', 'boolean'),
      column('is_administrator', 'boolean'),
      column('is_disabled', 'boolean'),
      column('must_change_password', 'boolean'),
      column('created_at', 'bigint'),
      column('updated_at', 'bigint'),
      varchar('mac', 43),
    ],
    uniques: [{ name: 'account_username', columnNames: ['username'] }],
  },
  {
    name: 'consent',
    columns: [
      varchar('account_id', 64, primary),
      varchar('client_id', 255, primary),
      column('oidc_scopes', 'text'),
      column('oidc_claims', 'text'),
      column('resource_scopes', 'text'),
      column('updated_at', 'bigint'),
      varchar('mac', 43),
    ],
  },
  ARTIFACTS,
]
