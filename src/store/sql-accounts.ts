import type { DataSource } from 'typeorm'
import type { AccountStore, ConsentStore } from '../accounts/account-store.ts'
import { attempt, attemptRead } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { createLookUp } from './look-up.ts'
import { accountSchema, consentSchema } from './schema.ts'

/** People in the table `account`. */
export function createSqlAccounts(dataSource: DataSource): AccountStore {
  const accounts = dataSource.getRepository(accountSchema)
  const consents = dataSource.getRepository(consentSchema)
  const byId = createLookUp(dataSource, accountSchema, 'id')
  const byUsername = createLookUp(dataSource, accountSchema, 'username')
  return {
    findById: (id) => attemptRead('read an account', () => byId(id)),
    findByUsername: (name) => attemptRead('read an account', () => byUsername(name.toLowerCase())),
    add: (account) =>
      attempt('add an account', async () => {
        const row = { ...account, username: account.username.toLowerCase() }
        await insertNew(dataSource.manager, accountSchema, row)
        return accounts.existsBy({ id: row.id, username: row.username })
      }),
    update: (account) =>
      attempt('change an account', async () => {
        const { id, ...changes } = { ...account, username: account.username.toLowerCase() }
        return (await accounts.update({ id }, changes)).affected === 1
      }),
    remove: (id) =>
      attempt('remove an account', async () => {
        await consents.delete({ accountId: id })
        return (await accounts.delete({ id })).affected === 1
      }),
    isEmpty: () => attemptRead('read the accounts', async () => !(await accounts.exists())),
    list: () =>
      attemptRead('read the accounts', () => accounts.find({ order: { username: 'ASC' } })),
  }
}

/** What people agreed to, in the table `consent`. */
export function createSqlConsents(dataSource: DataSource): ConsentStore {
  const consents = dataSource.getRepository(consentSchema)
  const find = createLookUp(dataSource, consentSchema, 'accountId', 'clientId')
  return {
    find: (accountId, clientId) => attemptRead('read a consent', () => find(accountId, clientId)),
    save: (consent) =>
      attempt('remember a consent', async () => {
        await consents.upsert(consent, ['accountId', 'clientId'])
      }),
    remove: (accountId, clientId) =>
      attempt('forget a consent', async () => {
        await consents.delete({ accountId, clientId })
      }),
  }
}
