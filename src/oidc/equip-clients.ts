import type { Adapter, Provider } from 'oidc-provider'
import { type PreviousSecret, previousSecrets } from '../clients/previous-secrets.ts'
import { SECRET_ALGORITHMS } from '../clients/properties.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { refetchUnknownKeys } from './client-keys.ts'
import { isHeld, signAnswersAsIdTokens } from './profiles/fapi2.ts'

/**
 * Gives each client of an instance what oidc-provider has no setting for, when the client is first
 * found. Clients are cached by their metadata object, which the store keeps until the client
 * changes, because oidc-provider would serialize and hash the metadata with every request and cache
 * only the last hundred clients.
 */
export function equipClients(
  { Client }: Provider,
  profile: Config['profile'],
  clock: Pick<Clock, 'elapsed'>,
): void {
  // The types lack `adapter` here, which every other model has.
  const models = Client as typeof Client & { readonly adapter: Adapter }
  const equipped = new WeakSet<object>()
  const byMetadata = new WeakMap<object, NonNullable<Awaited<ReturnType<typeof Client.find>>>>()
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    // A request may have anything in the place of a client id.
    if (typeof id !== 'string' || id === '') return undefined
    const metadata = await models.adapter.find(id)
    if (!metadata) return undefined
    const known = byMetadata.get(metadata)
    if (known) return known
    const client = await find(id)
    if (!client) return undefined
    byMetadata.set(metadata, client)
    // The store read the client again: another metadata object with the same content.
    if (equipped.has(client)) return client
    equipped.add(client)
    if (isHeld(client, profile)) signAnswersAsIdTokens(client, metadata)
    if (client.jwksUri !== undefined) refetchUnknownKeys(client, clock)
    if (client.tokenEndpointAuthMethod === 'client_secret_jwt') {
      acceptAssertionsBy(previousSecrets(client), client)
    }
    return client
  }
}

/** The part of oidc-provider's secret keys that is used here (lib/helpers/keystore.js). */
interface SecretKeys {
  add(key: { alg: string; use: 'sig'; kty: 'oct'; k: string }): void
}

/**
 * Adds previous secrets as keys of assertions; such secrets are stored as text
 * (`clients/client-secret.ts`). When a previous secret ends, the client's metadata change, so a new
 * client without it is built.
 */
function acceptAssertionsBy(secrets: readonly PreviousSecret[], client: object): void {
  // The types lack the keys; a test checks that they exist.
  const { symmetricKeyStore: keys } = client as { symmetricKeyStore: SecretKeys }
  for (const { secret } of secrets) {
    const k = Buffer.from(secret).toString('base64url')
    for (const alg of SECRET_ALGORITHMS) keys.add({ alg, use: 'sig', kty: 'oct', k })
  }
}
