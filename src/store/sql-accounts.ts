import type { DataSource } from 'typeorm'
import type { AccountStore, ConsentStore } from '../accounts/account-store.ts'
import { toAccount, toRow } from './account-row.ts'
import type { Authentic } from './authentic.ts'
import { whileOthersWrite, writeChanges } from './change-row.ts'
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
  const find = async (lookUp: typeof byId, by: string) => {
    const { accounts: macs } = await authentic.open()
    const row = macs.check(await attemptRead('read an account', () => lookUp(by)))
    return row && toAccount(row)
  }
  return {
    findById: (id) => find(byId, id),
    findByUsername: (name) => find(byUsername, name.toLowerCase()),
    add: (account) =>
      attempt('add an account', async () => {
        const { accounts: macs } = await authentic.open()
        const row = macs.sign(toRow({ ...account, username: account.username.toLowerCase() }))
        await insertNew(dataSource.manager, accountSchema, row)
        return accounts.existsBy({ id: row.id, username: row.username })
      }),
    change: (id, decide) =>
      attempt('change an account', async () => {
        const { accounts: macs } = await authentic.open()
        return whileOthersWrite('the account', async () => {
          const row = await byId(id)
          const genuine = macs.check(row)
          const current = genuine && toAccount(genuine)
          const changes = current && decide(current)
          if (!row || !current || !changes) return { done: undefined }
          const changed = { ...current, ...changes }
          // The MAC is of all fields: where it is the same, so is the row.
          const after = macs.sign(toRow(changed))
          const isDone = await writeChanges(accounts, { id, mac: row.mac }, row, after)
          return isDone ? { done: changed } : undefined
        })
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
        return rows.flatMap((row) => macs.check(row) ?? []).map(toAccount)
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
    change: (accountId, clientId, decide) =>
      attempt('remember a consent', async () => {
        const { consents: macs } = await authentic.open()
        const key = { accountId, clientId }
        await whileOthersWrite('the consent', async () => {
          const row = await find(accountId, clientId)
          const changed = macs.sign({ ...key, ...decide(macs.check(row)) })
          if (row) {
            const isDone = await writeChanges(consents, { ...key, mac: row.mac }, row, changed)
            return isDone ? { done: undefined } : undefined
          }
          await insertNew(dataSource.manager, consentSchema, changed)
          const isOurs = await consents.existsBy({ ...key, mac: changed.mac })
          return isOurs ? { done: undefined } : undefined
        })
      }),
    remove: (accountId, clientId) =>
      attempt('forget a consent', async () => {
        await consents.delete({ accountId, clientId })
      }),
  }
}
