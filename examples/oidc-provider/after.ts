import { createServer } from 'node:http'
import { openRotatingProvider } from 'keyturn/oidc-provider'
import { createFileKeyStore, fileProtector } from 'keyturn/ring'
import { configuration, jwks } from './configuration.ts'

const issuer = process.env.ISSUER ?? 'http://localhost:3000'

const provider = await openRotatingProvider({
  issuer,
  configuration,
  firstKeys: jwks,
  store: createFileKeyStore('./keys'),
  protector: fileProtector('./kek.json'),
  onProvider: (each) => each.on('server_error', (_ctx, error) => console.error(error)),
})

createServer(provider.callback()).listen(new URL(issuer).port, () => {
  console.log(`listening at ${issuer}`)
})
