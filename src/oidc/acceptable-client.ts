import { randomBytes } from 'node:crypto'
import { type AdapterPayload, type Configuration, errors, Provider } from 'oidc-provider'
import type { ClientMetadata } from '../clients/client.ts'
import { clientAdapter } from '../clients/client-adapter.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { Refused } from '../errors.ts'
import { generateKey } from '../ring/generate.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { signingWith } from './provider.ts'
import { providerSettings } from './settings.ts'

/**
 * Has oidc-provider build a client, as the server will at its first request. A second check behind
 * the rules of Keyturn, which should have reported a problem before, and in better words.
 * @returns what oidc-provider makes of the metadata
 * @throws Refused with what oidc-provider says
 */
export type BuildClient = (metadata: ClientMetadata) => Promise<object>

export async function createBuildClient(
  config: IssuerConfig,
  policies: RotationPolicies,
): Promise<BuildClient> {
  const known = new Map<string, ClientMetadata>()
  const provider = await buildValidator(
    config,
    policies,
    async (id) => known.get(id) as AdapterPayload | undefined,
  )
  return async (metadata) => {
    const id = metadata.client_id
    known.set(id, metadata)
    try {
      return (await provider.Client.find(id))?.metadata() ?? {}
    } catch (error) {
      if (!(error instanceof errors.OIDCProviderError)) throw error
      const reason = error.error_description ?? error.message
      throw new Refused(
        'client_unacceptable',
        { id, reason },
        `Client ${id} is refused: ${reason}.`,
      )
    }
  }
}

/** 256 bits. */
const COOKIE_SECRET_BYTES = 32

/**
 * Builds an instance that offers what the server offers once all of its rings sign. The instance
 * has throw-away keys, so that a client can be added where no ring can be opened.
 */
async function buildValidator(
  config: IssuerConfig,
  { rings }: RotationPolicies,
  find: (id: string) => Promise<AdapterPayload | undefined>,
): Promise<Provider> {
  const algorithms = rings.filter((ring) => ring.published).map((ring) => ring.algorithm)
  const keys = await Promise.all(
    algorithms.map(async (alg) => {
      const { jwk, kid } = await generateKey(alg)
      return { ...jwk, kid, alg, use: 'sig' }
    }),
  )
  const settings = providerSettings(config)
  return new Provider(config.issuer, {
    ...settings,
    adapter: () => clientAdapter(find),
    jwks: { keys } as NonNullable<Configuration['jwks']>,
    ...signingWith(algorithms, config.profile),
    cookies: { keys: [randomBytes(COOKIE_SECRET_BYTES).toString('base64url')] },
  })
}
