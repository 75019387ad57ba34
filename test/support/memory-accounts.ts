import { randomUUID } from 'node:crypto'
import type {
  Account,
  AccountStore,
  Consent,
  ConsentStore,
} from '../../src/accounts/account-store.ts'
import { nameKey, skeletonKey } from '../../src/accounts/skeleton.ts'
import { comparableUsername } from '../../src/accounts/username.ts'

/** The people stores in memory: the plainest thing that passes their conformance suites. */
export function createMemoryAccounts(): { accounts: AccountStore; consents: ConsentStore } {
  const people = new Map<string, Account>()
  const skeletons = new Map<string, string>()
  const allowed = new Map<string, Consent>()
  const key = (accountId: string, clientId: string) => JSON.stringify([accountId, clientId])
  const byUsername = (username: string) =>
    [...people.values()].find((account) => nameKey(account.username) === nameKey(username))

  return {
    accounts: {
      findById: async (id) => people.get(id),
      findByUsername: async (username) => byUsername(username),
      async add(account) {
        const skeleton = await skeletonKey(account.username)
        if ([...people.keys()].some((id) => skeletons.get(id) === skeleton)) return false
        skeletons.set(account.id, skeleton)
        people.set(account.id, { ...account, username: comparableUsername(account.username) })
        return true
      },
      async change(id, decide) {
        const current = people.get(id)
        const changes = current && decide(current)
        if (!changes) return undefined
        const changed = { ...current, ...changes }
        people.set(id, changed)
        return changed
      },
      async remove(id) {
        for (const [consentKey, consent] of allowed) {
          if (consent.accountId === id) allowed.delete(consentKey)
        }
        return people.delete(id)
      },
      isEmpty: async () => people.size === 0,
      forged: async () => [],
      list: async () =>
        [...people.values()].sort((a, b) =>
          a.username.toLowerCase() < b.username.toLowerCase() ? -1 : 1,
        ),
    },

    consents: {
      find: async (accountId, clientId) => allowed.get(key(accountId, clientId)),
      async change(accountId, clientId, decide) {
        const at = key(accountId, clientId)
        allowed.set(at, { accountId, clientId, ...decide(allowed.get(at)) })
      },
      async remove(accountId, clientId) {
        allowed.delete(key(accountId, clientId))
      },
    },
  }
}

/** An account with plain values; a test names those that matter to it. */
export function createAccount(values: Partial<Account> = {}): Account {
  return {
    id: randomUUID(),
    username: 'ada',
    passwordHash: '$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA',
    claims: {},
    isAdministrator: false,
    isDisabled: false,
    mustChangePassword: false,
    createdAt: 1_760_000_000,
    updatedAt: 1_760_000_000,
    ...values,
  }
}

/** Writes a whole account over the one with its id. */
export async function replaceAccount(
  accounts: Pick<AccountStore, 'change'>,
  { id, username: _, createdAt: __, ...changes }: Account,
): Promise<Account | undefined> {
  return accounts.change(id, () => changes)
}

/** Remembers this consent, whatever was remembered before. */
export async function rememberConsent(
  consents: Pick<ConsentStore, 'change'>,
  { accountId, clientId, ...allowed }: Consent,
): Promise<void> {
  await consents.change(accountId, clientId, () => allowed)
}
