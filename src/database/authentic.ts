import type { Consent } from '../accounts/account-store.ts'
import { type ArtifactRecords, createArtifactRecords } from '../artifacts/artifact-record.ts'
import type { OnForgery } from '../artifacts/forgeries.ts'
import { createPayloadCipher } from '../artifacts/payload-cipher.ts'
import { createRowMac, type RowMac } from '../artifacts/row-mac.ts'
import type { IssuerSecret } from '../ring/deployment.ts'
import {
  CLIENT_FIELDS,
  type ClientFields,
  type ClientRows,
  createClientRows,
} from './client-rows.ts'
import type { AccountRow, AuditRow } from './tables.ts'

/** Authenticates records of the stores with keys that come from the secret of the deployment. */
export interface Authentic {
  /** Issuer of the records. */
  readonly issuer: string
  /** Opens the secret at the first call. @throws KekMissing and similar errors */
  open(): Promise<AuthenticRecords>
}

/** Part of the secret that makes and checks records. */
export type RecordSecret = Pick<IssuerSecret, 'key' | 'boundTo'>

export interface AuthenticRecords {
  readonly artifacts: ArtifactRecords
  readonly clients: ClientRows
  /** MAC of a client's row, whatever its metadata. */
  readonly clientMac: RowMac<ClientFields>
  readonly accounts: RowMac<AccountRow>
  readonly consents: RowMac<Consent>
  readonly audit: RowMac<AuditRow>
}

export interface AuthenticOptions {
  /** Issuer; artifacts of another one are not found, even in the same Redis or database. */
  readonly issuer: string
  /** The secret for records of this issuer. */
  readonly openSecret: () => Promise<RecordSecret>
  readonly onForgery: OnForgery
}

export function createAuthentic({ issuer, openSecret, onForgery }: AuthenticOptions): Authentic {
  let opened: Promise<AuthenticRecords> | undefined
  const open = async () => authenticRecords({ issuer, secret: await openSecret(), onForgery })
  return {
    issuer,
    open: () => {
      opened ??= open().catch((error: unknown) => {
        // A key-encryption key may be added meanwhile.
        opened = undefined
        throw error
      })
      return opened
    },
  }
}

const ACCOUNT_FIELDS = [
  'id',
  'username',
  'passwordHash',
  'name',
  'email',
  'emailVerified',
  'isAdministrator',
  'isDisabled',
  'mustChangePassword',
  'createdAt',
  'updatedAt',
] as const satisfies readonly (keyof AccountRow)[]

const CONSENT_FIELDS = [
  'accountId',
  'clientId',
  'oidcScopes',
  'oidcClaims',
  'resourceScopes',
  'updatedAt',
] as const satisfies readonly (keyof Consent)[]

const AUDIT_FIELDS = [
  'number',
  'at',
  'actor',
  'reason',
  'action',
  'subjectId',
  'subjectName',
  'changed',
] as const satisfies readonly (keyof AuditRow)[]

export function authenticRecords({
  issuer,
  secret,
  onForgery,
}: Pick<AuthenticOptions, 'issuer' | 'onForgery'> & {
  readonly secret: RecordSecret
}): AuthenticRecords {
  const clientMac = createRowMac<ClientFields>({
    kind: 'client',
    key: secret.key('clients'),
    fields: CLIENT_FIELDS,
    onForgery: ({ id }) => onForgery('client', id),
  })
  return {
    artifacts: createArtifactRecords({ issuer, secret, onForgery }),
    clientMac,
    clients: createClientRows(clientMac, createPayloadCipher(secret.key('client secrets'))),
    accounts: createRowMac<AccountRow>({
      kind: 'account',
      key: secret.key('accounts'),
      fields: ACCOUNT_FIELDS,
      later: ['claims'],
      onForgery: ({ username }) => onForgery('account', username),
    }),
    consents: createRowMac<Consent>({
      kind: 'consent',
      key: secret.key('consents'),
      fields: CONSENT_FIELDS,
      onForgery: ({ accountId }) => onForgery('consent', accountId),
    }),
    audit: createRowMac<AuditRow>({
      kind: 'audit',
      key: secret.key('audit'),
      fields: AUDIT_FIELDS,
      // A forged record is listed as forged, instead of counting as absent.
      onForgery: () => {},
    }),
  }
}
