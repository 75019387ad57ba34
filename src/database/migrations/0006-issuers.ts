import type { MigrationInterface, QueryRunner } from 'typeorm'
import { column, nullable, type PortableTable, primary, varchar } from './portable.ts'
import { rebuildTable } from './rebuild-table.ts'

/**
 * Keys, events, clients, people and consents belong to an issuer. Older records belong to '' until
 * the first start gives them to an issuer (`known-issuers.ts`).
 *
 * Earlier versions do not work with these tables, because they would write rows without an issuer.
 * All nodes must be stopped first.
 */
export class Issuers0006 implements MigrationInterface {
  readonly name = 'Issuers1700000000006'

  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await rebuildTable(runner, table, 'issuer')
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}

const issuer = varchar('issuer', 255, primary)

/** The tables after the migration. */
const TABLES: readonly PortableTable[] = [
  {
    name: 'ring_key',
    columns: [
      issuer,
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
    uniques: [{ name: 'ring_key_generation', columnNames: ['issuer', 'ring', 'generation'] }],
  },
  {
    name: 'key_event',
    columns: [
      issuer,
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
      issuer,
      varchar('id', 255, primary),
      column('metadata', 'text'),
      varchar('id_token_algorithm', 20),
      varchar('source', 10),
      column('updated_at', 'bigint'),
      varchar('mac', 43),
    ],
    indices: [{ name: 'client_id_token_algorithm', columnNames: ['issuer', 'id_token_algorithm'] }],
  },
  {
    name: 'account',
    columns: [
      issuer,
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
      column('claims', 'text', nullable),
      varchar('name_key', 43, nullable),
      varchar('skeleton_key', 43, nullable),
    ],
    uniques: [{ name: 'account_username', columnNames: ['issuer', 'username'] }],
    indices: [
      { name: 'account_name_key', columnNames: ['issuer', 'name_key'] },
      { name: 'account_skeleton_key', columnNames: ['issuer', 'skeleton_key'], isUnique: true },
    ],
  },
  {
    name: 'consent',
    columns: [
      issuer,
      varchar('account_id', 64, primary),
      varchar('client_id', 255, primary),
      column('oidc_scopes', 'text'),
      column('oidc_claims', 'text'),
      column('resource_scopes', 'text'),
      column('updated_at', 'bigint'),
      varchar('mac', 43),
    ],
  },
]
