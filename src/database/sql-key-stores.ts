import type { DataSource } from 'typeorm'
import { besideSecret } from '../ring/beside-secret.ts'
import type { KeyStores } from '../ring/key-stores.ts'
import type { KnownIssuers } from './known-issuers.ts'
import { createSqlKeyStore } from './sql-key-store.ts'

/**
 * The key stores of a database, where the secret of the deployment belongs to the issuer ''.
 * @param known moves keys and events together with all other records of an issuer
 */
export function createSqlKeyStores(dataSource: DataSource, known: KnownIssuers): KeyStores {
  const shared = createSqlKeyStore(dataSource)
  return {
    of: (issuer) => besideSecret(createSqlKeyStore(dataSource, issuer), shared),
    shared,
    issuers: known.list,
    hasUnowned: known.hasUnowned,
    adopt: known.adopt,
    rename: known.rename,
  }
}
