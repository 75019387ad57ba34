import type { Provider } from 'oidc-provider'
import { type PreviousSecret, previousSecrets } from '../clients/previous-secrets.ts'
import { SECRET_ALGORITHMS } from '../clients/properties.ts'
import type { Clock } from '../clock.ts'
import { lookAgainForKeys } from './client-keys.ts'

/** Gives each client of an instance what oidc-provider has no setting for, when it is first found. */
export function equipClients({ Client }: Provider, clock: Pick<Clock, 'elapsed'>): void {
  const equipped = new WeakSet<object>()
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    const client = await find(id)
    if (!client || equipped.has(client)) return client
    equipped.add(client)
    if (client.jwksUri !== undefined) lookAgainForKeys(client, clock)
    if (client.tokenEndpointAuthMethod === 'client_secret_jwt') {
      acceptAssertionsBy(previousSecrets(client), client)
    }
    return client
  }
}

/** The part of oidc-provider's keys that are secrets which this needs (lib/helpers/keystore.js). */
interface SecretKeys {
  add(key: { alg: string; use: 'sig'; kty: 'oct'; k: string }): void
}

/**
 * A secret that is the key of assertions has its text (`clients/client-secret.ts`). One that ends makes
 * another client of the metadata, which has it no more.
 */
function acceptAssertionsBy(secrets: readonly PreviousSecret[], client: object): void {
  // The types know nothing of the keys; a test holds that they are there.
  const { symmetricKeyStore: keys } = client as { symmetricKeyStore: SecretKeys }
  for (const { secret } of secrets) {
    const k = Buffer.from(secret).toString('base64url')
    for (const alg of SECRET_ALGORITHMS) keys.add({ alg, use: 'sig', kty: 'oct', k })
  }
}
