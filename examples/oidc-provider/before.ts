import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'
import { configuration, jwks } from './configuration.ts'

const issuer = process.env.ISSUER ?? 'http://localhost:3000'

const provider = new Provider(issuer, { ...configuration, jwks })
provider.on('server_error', (_ctx, error) => console.error(error))

createServer(provider.callback()).listen(new URL(issuer).port, () => {
  console.log(`listening at ${issuer}`)
})
