import { describeAccountStore } from '../conformance/account-store.ts'
import { describeConsentStore } from '../conformance/consent-store.ts'
import { createMemoryAccounts } from '../support/memory-accounts.ts'

describeAccountStore('memory', async () => createMemoryAccounts())
describeConsentStore('memory', async () => createMemoryAccounts())
