import type { DataSource } from 'typeorm'
import type { Account, AccountStore, ConsentStore } from '../accounts/account-store.ts'
import type { Authentic } from './authentic.ts'
import { attempt, attemptRead } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { createLookUp } from './look-up.ts'
import { accountSchema, consentSchema } from './schema.ts'

/** People in the table `account`. Who fails the check, as somebody else wrote the row, is absent. */
export function createSqlAccounts(dataSource: DataSource, authentic: Authentic): AccountStore {
  const accounts = dataSource.getRepository(accountSchema)
  const consents = dataSource.getRepository(consentSchema)
  const byId = createLookUp(dataSource, accountSchema, 'id')
  const byUsername = createLookUp(dataSource, accountSchema, 'username')
  const toRow = async (account: Account) => {
    const { accounts: macs } = await authentic.open()
    return macs.sign({ ...account, username: account.username.toLowerCase() })
  }
  const find = async (lookUp: typeof byId, by: string) => {
    const { accounts: macs } = await authentic.open()
    return macs.check(await attemptRead('read an account', () => lookUp(by)))
  }
  return {
    findById: (id) => find(byId, id),
    findByUsername: (name) => find(byUsername, name.toLowerCase()),
    add: (account) =>
      attempt('add an account', async () => {
        const row = await toRow(account)
        await insertNew(dataSource.manager, accountSchema, row)
        return accounts.existsBy({ id: row.id, username: row.username })
      }),
    update: (account) =>
      attempt('change an account', async () => {
        const { id, ...changes } = await toRow(account)
        return (await accounts.update({ id }, changes)).affected === 1
      }),
    remove: (id) =>
      attempt('remove an account', async () => {
        await consents.delete({ accountId: id })
        return (await accounts.delete({ id })).affected === 1
      }),
    isEmpty: () => attemptRead('read the accounts', async () => !(await accounts.exists())),
    list: () =>
      attemptRead('read the accounts', async () => {
        const { accounts: macs } = await authentic.open()
        const rows = await accounts.find({ order: { username: 'ASC' } })
        return rows.flatMap((row) => macs.check(row) ?? [])
      }),
    forged: () =>
      attemptRead('read the accounts', async () => {
        const { accounts: macs } = await authentic.open()
        const rows = await accounts.find({ order: { username: 'ASC' } })
        return rows.filter((row) => !macs.check(row)).map(({ id, username }) => ({ id, username }))
      }),
  }
}

/** What people agreed to, in the table `consent`. */
export function createSqlConsents(dataSource: DataSource, authentic: Authentic): ConsentStore {
  const consents = dataSource.getRepository(consentSchema)
  const find = createLookUp(dataSource, consentSchema, 'accountId', 'clientId')
  return {
    find: async (accountId, clientId) => {
      const { consents: macs } = await authentic.open()
      return macs.check(await attemptRead('read a consent', () => find(accountId, clientId)))
    },
    save: (consent) =>
      attempt('remember a consent', async () => {
        const { consents: macs } = await authentic.open()
        await consents.upsert(macs.sign(consent), ['accountId', 'clientId'])
      }),
    remove: (accountId, clientId) =>
      attempt('forget a consent', async () => {
        await consents.delete({ accountId, clientId })
      }),
  }
}
