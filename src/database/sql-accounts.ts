import type { DataSource } from 'typeorm'
import {
  type Account,
  type AccountStore,
  type ConsentStore,
  changedNames,
} from '../accounts/account-store.ts'
import { nameKey } from '../accounts/skeleton.ts'
import { comparableUsername } from '../accounts/username.ts'
import type { Authenticated } from '../artifacts/row-mac.ts'
import type { AccountAction, Entry, Ordered } from '../audit/record.ts'
import { fillNameKeys, nameKeysOf } from './account-names.ts'
import { toAccount, toRow } from './account-row.ts'
import type { ArtifactPlace } from './artifact-place.ts'
import type { Authentic } from './authentic.ts'
import { whileOthersWrite, writeChanges } from './change-row.ts'
import { attempt, attemptRead } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { keepWhileUnchanged } from './keep-while-unchanged.ts'
import { createLookUp, createLookUpAny } from './look-up.ts'
import { createRecorder } from './recorder.ts'
import { type AccountRow, accountSchema, consentSchema, withoutIssuer } from './tables.ts'

/**
 * People of one issuer in the table `account`. A person whose row fails its check, because another
 * program wrote it, counts as absent.
 * @param version see `ArtifactPlace.version`; without it nothing is cached
 */
export function createSqlAccounts(
  dataSource: DataSource,
  authentic: Authentic,
  { version }: Pick<ArtifactPlace, 'version'> = {},
): AccountStore {
  const { issuer } = authentic
  const accounts = dataSource.getRepository(accountSchema)
  const consents = dataSource.getRepository(consentSchema)
  const recorder = createRecorder(dataSource, authentic)
  const findById = createLookUp(dataSource, accountSchema, 'id')
  const findByName = createLookUpAny(dataSource, accountSchema, 'username', 'nameKey')
  const byId = (id: string) => findById(issuer, id)
  const byName = (lower: string, key: string) => findByName(issuer, lower, key)
  const all = async () =>
    (await accounts.find({ where: { issuer }, order: { username: 'ASC' } })).map((row) =>
      withoutIssuer(row),
    )
  const genuine = async (row: Authenticated<AccountRow> | undefined) => {
    const { accounts: macs } = await authentic.open()
    const checked = macs.check(row)
    return checked && toAccount(checked)
  }
  const readById = keepWhileUnchanged(async (id) => genuine(await byId(id)), version)
  const readByName = keepWhileUnchanged(async (typed) => {
    const [lower, key] = [typed.toLowerCase(), nameKey(typed)]
    const rows = await byName(lower, key)
    return genuine(rows.find(({ username }) => username === lower) ?? oldestOf(rows, key))
  }, version)
  return {
    findById: (id) => attemptRead('read an account', () => readById(id)),
    findByUsername: (typed) => attemptRead('read an account', () => readByName(typed)),
    add: (account, by) =>
      attempt('add an account', async () => {
        const { accounts: macs } = await authentic.open()
        const username = comparableUsername(account.username)
        const keys = await nameKeysOf(username)
        // For accounts that an earlier version has added meanwhile.
        await fillNameKeys(dataSource, issuer)
        const row = macs.sign({ ...toRow({ ...account, username }), ...keys })
        const entry = entryOf(by, row, changedNames(undefined, account))
        return recorder.insert(accountSchema, { ...row, issuer }, entry)
      }),
    change: (id, decide, by) =>
      attempt('change an account', async () => {
        const { accounts: macs } = await authentic.open()
        return whileOthersWrite('the account', async () => {
          const row = await byId(id)
          const checked = macs.check(row)
          const current = checked && toAccount(checked)
          const changes = current && decide(current)
          if (!row || !current || !changes) return { done: undefined }
          const changed = { ...current, ...changes }
          // The MAC covers all fields, so an equal MAC means an equal row.
          const after = macs.sign({ ...checked, ...toRow(changed) })
          const isDone = await recorder.update(
            accountSchema,
            { issuer, id, mac: row.mac },
            { before: row, after },
            entryOf(by, row, changedNames(current, changed)),
          )
          return isDone ? { done: changed } : undefined
        })
      }),
    remove: (id, by) =>
      attempt('remove an account', async () => {
        await consents.delete({ issuer, accountId: id })
        const row = await byId(id)
        return row ? recorder.remove(accountSchema, { issuer, id }, entryOf(by, row)) : false
      }),
    isEmpty: () =>
      attemptRead('read the accounts', async () => !(await accounts.existsBy({ issuer }))),
    list: () =>
      attemptRead('read the accounts', async () => {
        const { accounts: macs } = await authentic.open()
        return (await all()).flatMap((row) => macs.check(row) ?? []).map(toAccount)
      }),
    forged: () =>
      attemptRead('read the accounts', async () => {
        const { accounts: macs } = await authentic.open()
        return (await all())
          .filter((row) => !macs.check(row))
          .map(({ id, username }) => ({ id, username }))
      }),
  }
}

function entryOf(
  by: Ordered<AccountAction> | undefined,
  { id, username }: Pick<Account, 'id' | 'username'>,
  changed: readonly string[] = [],
): Entry | undefined {
  return by && { by, subject: { id, username }, changed }
}

/**
 * The oldest of several accounts with the same name, which only earlier versions allowed. The key
 * is checked again, because it is not authenticated, and write access to the database must not be
 * enough to lead a name to another account.
 */
function oldestOf(rows: readonly Authenticated<AccountRow>[], key: string) {
  const [oldest] = rows
    .filter(({ username }) => nameKey(username) === key)
    .toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
  return oldest
}

/**
 * Consents of an issuer's people, in the table `consent`.
 * @param version see `ArtifactPlace.version`; without it nothing is cached
 */
export function createSqlConsents(
  dataSource: DataSource,
  authentic: Authentic,
  { version }: Pick<ArtifactPlace, 'version'> = {},
): ConsentStore {
  const { issuer } = authentic
  const consents = dataSource.getRepository(consentSchema)
  const lookUp = createLookUp(dataSource, consentSchema, 'accountId', 'clientId')
  const find = (accountId: string, clientId: string) => lookUp(issuer, accountId, clientId)
  const read = keepWhileUnchanged(async (accountId, clientId) => {
    const { consents: macs } = await authentic.open()
    return macs.check(await find(accountId, clientId))
  }, version)
  return {
    find: (accountId, clientId) => attemptRead('read a consent', () => read(accountId, clientId)),
    change: (accountId, clientId, decide) =>
      attempt('remember a consent', async () => {
        const { consents: macs } = await authentic.open()
        const key = { accountId, clientId }
        await whileOthersWrite('the consent', async () => {
          const row = await find(accountId, clientId)
          const changed = macs.sign({ ...key, ...decide(macs.check(row)) })
          if (row) {
            const isDone = await writeChanges(
              consents,
              { issuer, ...key, mac: row.mac },
              row,
              changed,
            )
            return isDone ? { done: undefined } : undefined
          }
          await insertNew(dataSource.manager, consentSchema, { ...changed, issuer })
          const isOurs = await consents.existsBy({ issuer, ...key, mac: changed.mac })
          return isOurs ? { done: undefined } : undefined
        })
      }),
    remove: (accountId, clientId) =>
      attempt('forget a consent', async () => {
        await consents.delete({ issuer, accountId, clientId })
      }),
  }
}
