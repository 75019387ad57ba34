import { createServer } from 'node:http'
import { createFileKeyStore, fileProtector, openRing } from 'keyturn/ring'

/** A service that signs its own JWTs: no OpenID Connect, no framework. */
const issuer = process.env.ISSUER ?? 'http://localhost:3000'

const ring = await openRing({
  store: createFileKeyStore('./keys'),
  protector: fileProtector('./kek.json'),
  policy: { algorithms: ['ES256'], tokenLifetime: 600 },
})

createServer(async (request, response) => {
  if (request.url === '/jwks') {
    const { body, headers } = ring.jwks()
    response.writeHead(200, headers).end(body)
  } else if (request.url === '/token') {
    response.end(await ring.sign({ iss: issuer, sub: 'somebody', aud: 'an-api' }))
  } else {
    response.writeHead(404).end()
  }
}).listen(new URL(issuer).port, () => console.log(`listening at ${issuer}`))
