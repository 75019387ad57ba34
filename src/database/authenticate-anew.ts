import type { DataSource, FindOneOptions } from 'typeorm'
import { z } from 'zod'
import type { StoredSecret } from '../clients/client-secret.ts'
import { jsonOf } from '../values/json-of.ts'
import { type AuthenticRecords, authenticRecords, type RecordSecret } from './authentic.ts'
import type { StoredMetadata } from './client-rows.ts'
import { attempt } from './failures.ts'
import { accountSchema, auditSchema, clientSchema, consentSchema } from './tables.ts'

/** Result of authenticating rows under another secret of the deployment. */
export interface AuthenticatedAnew {
  readonly accounts: number
  readonly consents: number
  readonly clients: number
  /**
   * Clients of operators whose sealed secret is lost, so that each needs a new one. Clients of the
   * configuration get theirs at the next start.
   */
  readonly lostSecrets: readonly string[]
}

/**
 * Authenticates all people, consents, clients and records of orders of every issuer anew, under a
 * new secret of the deployment, because the old one is lost. Passwords and hashed client secrets
 * stay valid; sealed client secrets are lost. Everything else that was authenticated or sealed
 * under the old secret - sessions, tokens, grants - counts as absent from then on.
 *
 * THIS TRUSTS THE DATABASE: rows that an attacker wrote into these tables count as genuine
 * afterwards, because without the old secret they cannot be told apart. Rows that no version of
 * Keyturn can have written stay forged, because nothing could read them.
 * @param secret the new secret @throws StoreUnavailable; it may then be done again
 */
export function authenticateAnew(
  dataSource: DataSource,
  secret: { of(issuer: string): RecordSecret },
): Promise<AuthenticatedAnew> {
  return attempt('authenticate people and clients anew', () =>
    dataSource.transaction(async (manager) => {
      const recordsOf = createRecordsOf(secret)
      const unchanging = lockOf(dataSource)
      const accounts = (await manager.find(accountSchema, unchanging)).filter(
        ({ claims }) => claims === null || jsonOf(claims) !== undefined,
      )
      for (const { mac: _, issuer, ...account } of accounts) {
        const { mac } = recordsOf(issuer).accounts.sign(account)
        await manager.update(accountSchema, { issuer, id: account.id }, { mac })
      }
      const consents = (await manager.find(consentSchema, unchanging)).filter(
        (consent) => wishes.safeParse(consent).success,
      )
      for (const { mac: _, issuer, ...consent } of consents) {
        const { accountId, clientId } = consent
        const { mac } = recordsOf(issuer).consents.sign(consent)
        await manager.update(consentSchema, { issuer, accountId, clientId }, { mac })
      }
      const clients = (await manager.find(clientSchema, unchanging)).filter(
        (client) => storedMetadata.safeParse(jsonOf(client.metadata)).success,
      )
      const lostSecrets: string[] = []
      for (const { mac: _, issuer, ...client } of clients) {
        const { metadata, isLost } = withoutSealed(client.metadata)
        if (isLost && client.source === 'operator') lostSecrets.push(client.id)
        const { mac } = recordsOf(issuer).clientMac.sign({ ...client, metadata })
        await manager.update(clientSchema, { issuer, id: client.id }, { metadata, mac })
      }
      const records = (await manager.find(auditSchema, unchanging)).filter(({ changed }) =>
        Array.isArray(jsonOf(changed)),
      )
      for (const { mac: _, issuer, ...record } of records) {
        const { mac } = recordsOf(issuer).audit.sign(record)
        await manager.update(auditSchema, { issuer, number: record.number }, { mac })
      }
      return {
        accounts: accounts.length,
        consents: consents.length,
        clients: clients.length,
        lostSecrets,
      }
    }),
  )
}

const wishes = z.object({
  oidcScopes: z.array(z.string()),
  oidcClaims: z.array(z.string()),
  resourceScopes: z.record(z.string(), z.array(z.string())),
})

const secrets = z.looseObject({})
const storedMetadata = z.looseObject({
  client_secret: secrets.optional(),
  previous_client_secrets: z.array(secrets).optional(),
})

/** Makes the records of each issuer once. */
function createRecordsOf(secret: { of(issuer: string): RecordSecret }) {
  const known = new Map<string, AuthenticRecords>()
  return (issuer: string): AuthenticRecords => {
    const records =
      known.get(issuer) ??
      authenticRecords({ issuer, secret: secret.of(issuer), onForgery: () => {} })
    known.set(issuer, records)
    return records
  }
}

/**
 * Locks rows from reading to writing, because a MAC of a row that was changed in between would
 * never be valid. SQLite has no such locks, and refuses to write a row that was changed after it
 * was read.
 */
function lockOf({ options: { type } }: DataSource): FindOneOptions {
  return type === 'better-sqlite3' ? {} : { lock: { mode: 'pessimistic_write' } }
}

/** Marks a client secret that was sealed under the lost secret as lost, and drops previous ones. */
function withoutSealed(text: string): { readonly metadata: string; readonly isLost: boolean } {
  const { previous_client_secrets: previous, ...metadata }: StoredMetadata = JSON.parse(text)
  const { client_secret: secret } = metadata
  const isLost = secret !== undefined && !('hash' in secret)
  const lost: StoredSecret = { lost: true }
  const kept = {
    ...metadata,
    ...(isLost && { client_secret: lost }),
    ...(previous && { previous_client_secrets: previous.filter((old) => 'hash' in old) }),
  }
  return { metadata: JSON.stringify(kept), isLost }
}
