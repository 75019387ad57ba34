import { newAccount } from '../src/accounts/new-account.ts'
import { createPasswords } from '../src/accounts/password.ts'
import type { Clock } from '../src/clock.ts'
import { chooseIssuer } from '../src/config/choose-issuer.ts'
import type { Config } from '../src/config/schema.ts'
import { openStores } from '../src/server/stores.ts'

export interface DemoPerson {
  readonly username: string
  readonly password: string
}

const DETAILS = { username: 'demo', claims: { name: 'Robin Demo', email: 'robin@demo.example' } }

/** Makes a person who can sign in at once, with a new password at each start. */
export async function resetDemoPerson(config: Config, clock: Clock): Promise<DemoPerson> {
  const passwords = createPasswords(config.password.argon2)
  const { account, oneTimePassword } = await newAccount(DETAILS, passwords, clock)
  const person = { ...account, isAdministrator: true, mustChangePassword: false }

  const stores = await openStores(config, clock)
  const { accounts } = stores.of(chooseIssuer(config).issuer)
  try {
    const before = await accounts.findByUsername(person.username)
    const { id: _, username: __, createdAt: ___, ...changes } = person
    if (before) await accounts.change(before.id, () => changes)
    else await accounts.add(person)
  } finally {
    await stores.close()
  }
  return { username: person.username, password: oneTimePassword }
}
