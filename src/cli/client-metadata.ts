import { randomBytes, randomUUID } from 'node:crypto'
import { type AdapterFactory, type Configuration, errors, Provider } from 'oidc-provider'
import { SIGNED_ANSWERS, type SignedAnswer } from '../clients/signed-answers.ts'
import type { Config } from '../config/schema.ts'
import { Refused } from '../errors.ts'
import { generateKey } from '../keys/generate.ts'
import type { RotationPolicies } from '../keys/policy.ts'
import { assertRing } from '../oidc/client-algorithms.ts'
import { signingWith } from '../oidc/provider.ts'
import { providerSettings } from '../oidc/settings.ts'
import { type ClientMetadata, DEFAULT_ID_TOKEN_ALGORITHM } from '../store/client-rows.ts'

/** From what an operator says of a client to metadata (RFC 7591) that the server can work with. */

/** 256 bits. */
const SECRET_BYTES = 32

export interface CompleteClient {
  readonly metadata: ClientMetadata
  /** Made here, to be shown once. */
  readonly generatedSecret: string | undefined
}

/** Fills in what every client needs: an id, and a secret if it proves itself with one. */
export function completeClient(given: Readonly<Record<string, unknown>>): CompleteClient {
  const named = typeof given.client_id === 'string' ? given.client_id : randomUUID()
  const metadata: ClientMetadata = { ...given, client_id: named, ...responseTypes(given) }
  if (metadata.client_secret !== undefined || !provesItselfBySecret(metadata)) {
    return { metadata, generatedSecret: undefined }
  }
  const generatedSecret = randomBytes(SECRET_BYTES).toString('base64url')
  return { metadata: { ...metadata, client_secret: generatedSecret }, generatedSecret }
}

/**
 * Has oidc-provider build the client, as the server will at its first request.
 * @returns names that oidc-provider does not know and passes over
 * @throws Refused with what is wrong
 */
export async function validateClient(
  metadata: ClientMetadata,
  config: Config,
  policies: RotationPolicies,
): Promise<readonly string[]> {
  const { client_id: id } = metadata
  const wanted: ClientMetadata = {
    id_token_signed_response_alg: DEFAULT_ID_TOKEN_ALGORITHM,
    ...metadata,
  }
  for (const answer of Object.keys(SIGNED_ANSWERS) as SignedAnswer[]) {
    const { [answer]: algorithm } = wanted
    // The server signs with its rings alone, never with a client's secret, which oidc-provider tells.
    if (typeof algorithm !== 'string' || algorithm.startsWith('HS')) continue
    assertRing({ answer, algorithm, client: id }, policies)
  }

  const provider = await buildValidator(metadata, config, policies)
  try {
    const client = await provider.Client.find(id)
    const known = Object.keys(client?.metadata() ?? {})
    return Object.keys(metadata).filter((name) => !known.includes(name))
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error
    throw new Refused(`Client ${id} is refused: ${error.error_description ?? error.message}.`)
  }
}

function provesItselfBySecret({ token_endpoint_auth_method: method }: ClientMetadata): boolean {
  return method === undefined || String(method).startsWith('client_secret_')
}

/** RFC 7591, section 2.1: a client without the code grant has no response type. */
function responseTypes(given: Readonly<Record<string, unknown>>): object {
  const { grant_types: grants, response_types: types } = given
  if (!Array.isArray(grants) || types !== undefined) return {}
  return grants.includes('authorization_code') ? {} : { response_types: [] }
}

/**
 * An instance that offers what the server offers once all of its rings sign. Its keys are made for
 * the occasion, so that a client can be added where no ring can be opened.
 */
async function buildValidator(
  metadata: ClientMetadata,
  config: Config,
  { rings }: RotationPolicies,
): Promise<Provider> {
  const algorithms = rings.filter((ring) => ring.published).map((ring) => ring.algorithm)
  const keys = await Promise.all(
    algorithms.map(async (alg) => {
      const { jwk, kid } = await generateKey(alg)
      return { ...jwk, kid, alg, use: 'sig' }
    }),
  )
  const settings = providerSettings(config)
  const adapter: AdapterFactory = () => ({
    find: async () => ({ ...metadata }),
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    upsert: async () => undefined,
    consume: async () => undefined,
    destroy: async () => undefined,
    revokeByGrantId: async () => undefined,
  })
  return new Provider(config.issuer, {
    ...settings,
    adapter,
    jwks: { keys } as NonNullable<Configuration['jwks']>,
    ...signingWith(algorithms),
    cookies: { keys: [randomBytes(SECRET_BYTES).toString('base64url')] },
  })
}
