import type { Adapter, Provider } from 'oidc-provider'
import { type PreviousSecret, previousSecrets } from '../clients/previous-secrets.ts'
import { SECRET_ALGORITHMS } from '../clients/properties.ts'
import type { Clock } from '../clock.ts'
import { lookAgainForKeys } from './client-keys.ts'

/**
 * Gives each client of an instance what oidc-provider has no setting for, when it is first found. It is
 * known by its metadata, which the store has as one object until a client changes: oidc-provider would
 * write and hash them with every request, and forget all but the last hundred clients.
 */
export function equipClients({ Client }: Provider, clock: Pick<Clock, 'elapsed'>): void {
  // The types do not know that it is there, as for every other model.
  const models = Client as typeof Client & { readonly adapter: Adapter }
  const equipped = new WeakSet<object>()
  const byMetadata = new WeakMap<object, NonNullable<Awaited<ReturnType<typeof Client.find>>>>()
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    // What a request has in the place of an id may be anything.
    if (typeof id !== 'string' || id === '') return undefined
    const metadata = await models.adapter.find(id)
    if (!metadata) return undefined
    const known = byMetadata.get(metadata)
    if (known) return known
    const client = await find(id)
    if (!client) return undefined
    byMetadata.set(metadata, client)
    // Other metadata with the same content: a client that was read again.
    if (equipped.has(client)) return client
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
