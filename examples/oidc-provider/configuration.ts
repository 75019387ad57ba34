import { readFileSync } from 'node:fs'
import type { JWK } from 'jose'
import type { Configuration } from 'oidc-provider'

/** The signing keys of the application, as its `jwks` had them. */
export const jwks = JSON.parse(readFileSync('./jwks.json', 'utf8')) as { keys: JWK[] }

/** Everything else of the application. A real one has an adapter, accounts and interactions of its own. */
export const configuration: Configuration = {
  clients: [
    {
      client_id: 'job',
      client_secret: 'an-example-secret-that-everybody-knows',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:example:api',
      getResourceServerInfo: () => ({
        scope: 'read',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
}
