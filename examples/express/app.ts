import express from 'express'
import { openRotatingProvider } from 'keyturn/oidc-provider'
import { createFileKeyStore, fileProtector } from 'keyturn/ring'

/** An Express application with the token server under /oidc. */
const origin = process.env.ORIGIN ?? 'http://localhost:3000'

const provider = await openRotatingProvider({
  issuer: `${origin}/oidc`,
  configuration: {
    clients: [
      {
        client_id: 'job',
        client_secret: 'an-example-secret-that-everybody-knows',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: { clientCredentials: { enabled: true } },
  },
  store: createFileKeyStore('./keys'),
  protector: fileProtector('./kek.json'),
})

const app = express()
app.get('/', (_request, response) => {
  response.send('Welcome')
})
app.use('/oidc', provider.callback())
app.listen(new URL(origin).port, () => console.log(`listening at ${origin}`))
