import { testAccountStore } from '../conformance/account-store.ts'
import { testConsentStore } from '../conformance/consent-store.ts'
import { createMemoryAccounts } from '../support/memory-accounts.ts'

testAccountStore('memory', async () => createMemoryAccounts())
testConsentStore('memory', async () => createMemoryAccounts())
